# frozen_string_literal: true

module Rack
  module StreamingProxy
    # For controllers of Rails, to be included: an action asks an upstream, and is over. The
    # response goes to the client past Rails, without a thread of the application's.
    #
    # @example
    #   class FilesController < ApplicationController
    #     include Rack::StreamingProxy::Controller
    #
    #     def show
    #       proxy_fetch "http://files.internal/#{params[:id]}" do |config|
    #         config.on_headers { |response| response["content-disposition"] = "attachment" }
    #       end
    #     end
    #   end
    module Controller
      # The response in Rack's terms. A body that streams is not Rails' to hold: it would not be
      # closed, and from 7.1 on it would be collected for a digest.
      # @api private
      def to_a
        status, headers, = answer = super
        return answer unless @_proxy_answer

        [status, with_upstream(headers, @_proxy_answer[1]), @_proxy_answer.last]
      end

      private # What is public in a controller is an action.

      # Asks an upstream, and has its response sent to the client. Where the server hands the
      # client's socket over it is a full hijack: what Rails would add to the response is not sent.
      # Elsewhere the response is streamed by the server, and waits for the head here.
      #
      # @param url [String, URI] absolute
      # @param method [Symbol, String, nil] nil for GET, or with `body: :rack` the client's own
      # @param headers [Hash{String => String, Array<String>}, Symbol] `:rack` for the client's
      # @param body [String, #read, Symbol, nil] `:rack` for the client's
      # @param settings [Hash{Symbol => Object}] of this request, as a {Target}'s; and
      #   `ignore_ssl_errors: true`, as `verify_ssl: false`, and `debug: true`, as
      #   `log_verbosity: :high`
      # @yieldparam config [Fetch::Callbacks]
      # @raise [ConfigurationError] for an argument that will not do; nothing has happened then
      # @raise [RequestError] if the request cannot be sent as HTTP
      # @raise [AbstractController::DoubleRenderError] if the action has rendered, or called this
      # @!visibility public
      def proxy_fetch(url, method: nil, headers: {}, body: nil, **settings, &configure)
        refuse_second_answer
        pass_on Fetch.new(url, request.env, method:, headers:, body:, **settings, &configure).call
      end

      # Rails' line for this action tells no status: nobody knows it yet.
      # @api private
      def append_info_to_payload(payload)
        super
        payload[:status] = nil if @_proxy_fetched
      end

      def refuse_second_answer
        return unless performed?

        raise ::AbstractController::DoubleRenderError,
              "proxy_fetch was called in an action that has answered already: it may be called " \
              "once, and nothing may be rendered before"
      end

      # @param answer [Array(Integer, Hash, #each), nil] nil if the socket is not Rails' any more
      def pass_on(answer)
        @_proxy_fetched = answer.nil?
        @_proxy_answer = answer
        self.status = answer ? answer.first : 200
        self.response_body = []
      end

      # @return [Hash] the upstream's, which a server's adaptation may have made, and Rails' others
      def with_upstream(headers, fields)
        names = fields.keys.map(&:downcase) + %w[content-type content-length]
        headers.to_h.each do |name, value|
          fields[name] = value unless names.include?(name.downcase)
        end
        fields
      end
    end
  end
end
