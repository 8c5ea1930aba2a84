# frozen_string_literal: true

module Rack
  module StreamingProxy
    module Reporters
      # A response that the engine writes, or of which it has not been told yet how it ended; or one
      # whose head has not come.
      #
      # @!attribute settings [Configuration]
      # @!attribute report [#call, nil] nil once all has been told
      # @!attribute cut [#call, nil] ends it, if its head has not come; whether it has
      # @!attribute origin [Expected, nil] what this one has come of, once its head was here
      # @!attribute outcome [Symbol, nil] `:ended` or, with the process, `:cut`
      # @api private
      Expected = Struct.new(:settings, :report, :cut, :origin, :outcome) do
        # What is cut anywhere on its way was cut.
        #
        # @param outcome [Symbol]
        def end_as(outcome)
          self.outcome = outcome unless self.outcome == :cut
          origin&.end_as(outcome)
        end

        # @param news [Symbol, Array, nil] as {Reporters.expect} yields it
        # @param executor [#wrap, nil]
        def tell(news, executor)
          end_as(news&.include?(:shutdown) ? :cut : :ended) unless news == :ready
          told = report or return # Another thread has just told its last.
          executed(executor) { told.call(news) }
        end

        # All has been told of it. What has come of it keeps it, for the outcome alone: not what was
        # to be called, which holds the request.
        def forgotten
          end_as(:ended)
          self.report = self.cut = nil
        end

        private

        # Nobody else tells of it: an executor that fails before it yields is done without.
        def executed(executor)
          begun = executor.nil?
          return yield if begun

          executor.wrap do
            begun = true
            yield
          end
        rescue StandardError, ScriptError => e
          raise if begun

          warn "#{Log::PREFIX} the executor failed: #{e.class}: #{e.message}"
          yield
        end
      end
    end
  end
end
