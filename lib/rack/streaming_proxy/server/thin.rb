# frozen_string_literal: true

require_relative "thin/deferrable"

module Rack
  module StreamingProxy
    module Server
      # Thin sends what `each` yields when `each` returns, for its reactor is the same thread; but
      # it leaves a response open whose body is deferrable, so that a thread can go on with it. The
      # head is waited for in the reactor, as in any application on Thin.
      # @api private
      class Thin < Generic
        # Headers that Thin sends on several lines.
        SEVERAL = %w[set-cookie set-cookie2 warning www-authenticate].freeze
        private_constant :SEVERAL

        # @param env [Hash]
        # @return [Boolean] whether this server gave it
        def self.serves?(env)
          callback = env["async.callback"]
          defined?(::Thin::Connection) && callback.is_a?(::Method) &&
            callback.receiver.is_a?(::Thin::Connection)
        end

        # SERVER_PROTOCOL is always HTTP/1.1. Thin 1.8.1 and older have it in HTTP_VERSION, which a
        # client's header "Version" replaces. Thin itself takes what is not HTTP/1.0 for 1.1.
        def http_version = version == "HTTP/1.0" ? "1.0" : "1.1"

        # Thin takes chunks for what they are not, a part of them for the body and the rest for the
        # next request.
        #
        # @return [String, nil]
        def fault
          http1_fault(http_version) ||
            ("body is in chunks, which Thin does not read" if @env.key?("HTTP_TRANSFER_ENCODING"))
        end

        # Bytes behind a request without a body may be the next request.
        def undeclared_body = nil

        # What follows is no request to believe.
        def close_connection
          @env["HTTP_CONNECTION"] = "close"
        end

        # EventMachine's own, of which it tells the number.
        #
        # @return [BasicSocket]
        # @raise [IOError] when it is closed, which a threaded Thin may do at any moment
        def client_socket
          number = ::EventMachine.get_file_descriptor(connection.signature)
          ::BasicSocket.for_fd(number).tap { |socket| socket.autoclose = false }
        rescue SystemCallError, RuntimeError
          raise IOError, "the connection is closed"
        end

        # A middleware that iterates the body would do so in the reactor, until the body has ended.
        def prepare(_length) = decline_encoding

        # @param answer [Array(Integer, Hash, #each)]
        # @return [Array(Integer, Hash, #each)]
        def finish(answer, _input)
          status, headers, body = answer
          return answer unless body.is_a?(Body)

          length = headers[RackHeaders.spelled("content-length")]&.to_i
          body = Deferrable.new(body, length, connection)
          @env["async.close"].callback { body.dropped }
          [status, joined(headers), body]
        end

        private

        def connection = @env["async.callback"].receiver

        # Thin sends the first line of a header only, with exceptions.
        def joined(headers)
          headers.each do |name, value|
            next if SEVERAL.include?(name.downcase)

            headers[name] = (value.is_a?(Array) ? value : value.split("\n")).join(", ")
          end
        end

        def version = (@env["thin.request_http_version"] || @env["HTTP_VERSION"]).to_s
      end
    end
  end
end
