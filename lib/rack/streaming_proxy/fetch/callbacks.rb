# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # What `proxy_fetch` yields: takes a block for each moment of the exchange. They are run on
      # one of the threads of {StreamingProxy.callback_threads}.
      class Callbacks
        # @!method on_response(&block)
        #   @yieldparam client_response [ClientResponse] the upstream's head; nothing is written yet
        #   @yieldparam responder [SocketResponder] which may answer in its place
        # @!method on_headers(&block)
        #   @yieldparam client_response [ClientResponse] of which the headers may be changed
        #   @yieldparam responder [SocketResponder] to be closed if nothing is to be sent
        # @!method on_complete(&block)
        #   @yieldparam client_response [ClientResponse] whose body the client has got whole
        # @!method on_error(&block)
        #   @yieldparam error [StandardError]
        #   @yieldparam responder [SocketResponder] closed if something has been sent already
        %i[on_response on_headers on_complete on_error].each do |name|
          define_method(name) do |&block|
            @blocks[name] = block
            nil
          end
        end

        def initialize
          @blocks = {}
        end

        # @param name [Symbol]
        # @return [Proc, nil]
        # @api private
        def [](name) = @blocks[name]
      end
    end
  end
end
