# frozen_string_literal: true

module Rack
  module StreamingProxy
    class Fetch
      # A request's body that the application gives, as {Input} reads one: once, from where it is.
      # @api private
      class Source
        # @param io [Object]
        # @return [Integer, nil] bytes that are left of it, if that can be told
        def self.length_of(io)
          return unless io.respond_to?(:size) && io.respond_to?(:pos)

          size = io.size
          size - io.pos if size.is_a?(Integer) && size >= io.pos
        rescue SystemCallError, IOError
          nil # A pipe has neither.
        end

        # @param body [String, #read, nil]
        # @param length [String, nil] what the application says
        # @return [Hash] an env that tells of this body alone
        def self.env(body, length)
          return {} if body.nil?

          io = body.is_a?(String) ? ::StringIO.new(body) : body
          length = body.is_a?(String) ? body.bytesize : length || length_of(io)
          about = { "HTTP_TRANSFER_ENCODING" => "chunked" }
          about = { "CONTENT_LENGTH" => length.to_s } if length
          about.merge("rack.input" => new(io))
        end

        # @param io [#read]
        def initialize(io)
          @io = io
        end

        # Some bytes, as soon as there are any; may block.
        #
        # @param size [Integer]
        # @return [String]
        # @raise [EOFError] at the end
        def readpartial(size)
          return @io.readpartial(size) if @io.respond_to?(:readpartial)

          @io.read(size) || raise(EOFError, "the body has ended")
        end
      end
    end
  end
end
