# frozen_string_literal: true

require "delegate"

module Rack
  module StreamingProxy
    module Testing
      # A native exchange whose upstream works whenever the exchange has nothing to tell.
      # @api private
      class Exchange < ::SimpleDelegator
        # @param native [Native::Exchange]
        # @param upstream [Testing::Upstream]
        # @param origin [String] of the upstream that it stands for
        # @param upload [Boolean] whether the request has a body
        def initialize(native, upstream, origin, upload:)
          super(native)
          @upstream = upstream
          @origin = origin
          @uploading = upload
          @bell = ::IO.for_fd(native.bell, autoclose: false)
          @received = 0
        end

        # @return [Object] what the native one returns; `:again` only while there is a body to feed
        def head
          told = serving { super }
          @uploading = true if told == :rewind
          told
        rescue UpstreamError => e
          facts = Failures.facts(e, @origin) or raise
          give_up
          facts
        end

        # @return [String, Array, nil] what the native one returns, never `:again`
        def read(max)
          bytes = serving(-> { @upstream.proceed(@received) }) { super }
          @received += bytes.bytesize if bytes.is_a?(String)
          bytes
        end

        # @return [Symbol] what the native one returns, once the bell has rung if it was `:again`
        def writable
          state = super
          if state == :again
            @upstream.serve(@bell)
            state = super
          end
          @uploading = false if state == :stopped
          state
        end

        # Says that the body has ended.
        def finish
          @uploading = false
          super
        end

        # @return [Boolean] what the native one returns
        def close
          @upstream.close
          super
        end

        private

        def serving(before = nil)
          loop do
            told = yield
            return told if told != :again || @uploading

            before&.call
            @upstream.serve(@bell)
          end
        end

        # So that the exchange's report tells of an attempt that has failed.
        def give_up
          @upstream.close
          @bell.wait_readable while __getobj__.head == :again
        end
      end
    end
  end
end
