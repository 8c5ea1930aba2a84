# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # WebMock's stubs and its refusal of real connections, for requests that none of ours fits.
      # It cannot see a native client: we ask its registry, and tell it what was asked.
      # @api private
      class WebMockStubs
        LIBRARY = { lib: :rack_streaming_proxy, real_request: false }.freeze
        private_constant :LIBRARY

        # @param http_method [String]
        # @param url [String]
        # @return [WebMockStubs, nil] nil if the request may go to its upstream
        def self.for(http_method, url)
          return unless enabled?

          new if !::WebMock.net_connect_allowed?(url) ||
                 ::WebMock.registered_request?(signature(http_method, url))
        end

        # WebMock itself does not tell; it is when its Net::HTTP is in place.
        def self.enabled?
          ::Net::HTTP != ::WebMock::HttpLibAdapters::NetHttpAdapter::OriginalNetHTTP
        end

        def self.signature(http_method, url, **parts)
          ::WebMock::RequestSignature.new(http_method.downcase.to_sym, url, **parts)
        end
        private_class_method :enabled?

        # @return [nil] WebMock's stubs are no thread's
        def owner = nil

        # @param request [Testing::Request]
        # @return [Array(Integer, Hash, #each)]
        # @raise [WebMock::NetConnectNotAllowedError]
        def answer(request)
          signature = self.class.signature(request.http_method, request.url,
                                           body: request.body, headers: request.headers)
          ::WebMock::RequestRegistry.instance.requested_signatures.put(signature)
          response = ::WebMock::StubRegistry.instance.response_for_request(signature)
          raise ::WebMock::NetConnectNotAllowedError, signature unless response

          ::WebMock::CallbackRegistry.invoke_callbacks(LIBRARY, signature, response)
          rack_response(response)
        end

        private

        def rack_response(response)
          response.raise_error_if_any
          raise TimeoutError if response.should_timeout

          [Integer(response.status.first), response.headers || {}, [response.body]]
        end
      end
    end
  end
end
