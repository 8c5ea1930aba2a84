# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Testing
      # The stubs of all tests that run now, and what was asked of them. All methods may be called
      # from any thread.
      # @api private
      class Registry
        # Marks a thread that runs tests: it sees its own only.
        MARK = :rack_streaming_proxy_testing
        private_constant :MARK

        def initialize
          @mutex = Mutex.new
          @stubs = []
          @requests = []
        end

        # @param stub [Stub]
        # @return [Stub]
        def add(stub)
          mark
          @mutex.synchronize { @stubs.unshift(stub) }
          stub
        end

        # @param http_method [String]
        # @param url [String]
        # @return [Stub, nil] the last one that fits
        def find(http_method, url)
          stubs.find { |stub| stub.fits?(http_method, url) }
        end

        # @param request [Testing::Request]
        # @param stub [Stub, WebMockStubs] which answers it
        def record(request, stub)
          @mutex.synchronize { @requests << [request, stub.owner] }
        end

        # @return [Array<Testing::Request>]
        def requests
          @mutex.synchronize { @requests.filter_map { |one, owner| one if ours?(owner) } }
        end

        # Forgets what is this thread's.
        def reset
          mark
          @mutex.synchronize do
            @stubs.reject! { |stub| ours?(stub.owner) }
            @requests.reject! { |_, owner| ours?(owner) }
          end
        end

        # @return [String] for people
        def describe
          lines = stubs.map { |stub| "  #{stub}" }
          lines.empty? ? "There is no stub." : "There are stubs for\n#{lines.join("\n")}"
        end

        private

        def stubs
          @mutex.synchronize { @stubs.select { |stub| ours?(stub.owner) } }
        end

        def mark
          Thread.current.thread_variable_set(MARK, true)
        end

        def ours?(owner)
          !Thread.current.thread_variable?(MARK) || owner.nil? || owner == Thread.current
        end
      end
    end
  end
end
