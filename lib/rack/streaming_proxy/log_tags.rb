# frozen_string_literal: true

module Rack
  module StreamingProxy
    # The tags of a request's log lines (`config.log_tags`). Rails before 7.1 takes them away when
    # `call` returns, though lines about the body are still to come.
    # @api private
    class LogTags
      # @param logger [Object] of which the tags at this moment are kept, if it has any
      def initialize(logger)
        formatter = logger.formatter if logger.respond_to?(:formatter)
        @formatter = formatter if formatter.respond_to?(:current_tags)
        @tags = @formatter ? @formatter.current_tags.dup : []
      end

      # Yields while the logger has these tags.
      def restore(&block)
        missing = @tags.drop(@formatter ? @formatter.current_tags.size : 0)
        missing.empty? ? yield : @formatter.tagged(*missing, &block)
      end
    end
  end
end
