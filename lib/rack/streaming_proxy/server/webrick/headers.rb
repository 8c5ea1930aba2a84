# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Server
      class WEBrick < Generic
        class Hijack
          # Headers with a `rack.hijack`. Middlewares outside do not know what a hijack sends: where
          # one has taken the body itself, or will encode it, the server is shown no hijack.
          # @api private
          class Headers < ::Rack::Utils::HeaderHash
            # Rack::ContentLength, which rackup adds, would collect a body whose coding it does not
            # see; WEBrick finds its own, for HTTP/1.0 none.
            UNSAID = "Transfer-Encoding"
            # WEBrick would keep the connection although it drops the length for HTTP/1.1.
            OURS = ["rack.hijack", "Connection"].freeze
            private_constant :UNSAID, :OURS

            # @param hijack [Hijack]
            # @param headers [Hash]
            # @return [Headers]
            def self.offering(hijack, headers)
              new(headers).tap { |ours| ours.offer(hijack) }
            end

            # @param hijack [Hijack]
            def offer(hijack)
              self["rack.hijack"] = hijack.method(:call)
              self["Connection"] = "close"
              self[UNSAID] = "chunked"
              @coding = self["Content-Encoding"]
              @hijack = hijack
            end

            # @yieldparam name [String]
            # @yieldparam value [Object]
            def each
              super do |name, value|
                yield name, value unless name == UNSAID || (OURS.include?(name) && !streams?)
              end
            end

            private

            def streams? = !@hijack.taken? && self["Content-Encoding"] == @coding
          end
        end
      end
    end
  end
end
