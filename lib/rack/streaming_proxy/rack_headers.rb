# frozen_string_literal: true

module Rack
  module StreamingProxy
    # Header pairs in the shape that the running Rack wants: Rack 2 has Title-Case names and joins
    # several values with a line feed, Rack 3 has lower case and an Array.
    # @api private
    module RackHeaders
      # Names whose usual spelling is not their title case.
      SPELLED = {
        "etag" => "ETag", "www-authenticate" => "WWW-Authenticate", "content-md5" => "Content-MD5",
        "dnt" => "DNT", "sourcemap" => "SourceMap", "x-xss-protection" => "X-XSS-Protection",
        "x-ua-compatible" => "X-UA-Compatible", "x-webkit-csp" => "X-WebKit-CSP"
      }.freeze
      RACK3 = Rack.release >= "3"
      # Before 3.2 Rack::Lint refuses a tab, which HTTP takes for a space.
      TABS = Rack.release >= "3.2"

      # @param status [Integer]
      # @return [Boolean] whether Rack allows neither type nor length, as there is no body
      def self.bodiless?(status) = [204, 304].include?(status)

      # @param fields [Array<Array(String, String)>] names in lower case
      # @param length [Integer, nil] to announce as Content-Length
      # @return [Hash] new, not frozen
      def self.from(fields, length)
        headers = RACK3 ? {} : Rack::Utils::HeaderHash.new
        fields.each do |name, value|
          add(headers, spelled(name), TABS ? value : value.tr("\t", " "))
        end
        headers[spelled("content-length")] = length.to_s if length
        headers
      end

      # @param name [String] in lower case
      # @return [String] as this Rack spells it
      def self.spelled(name)
        return name if RACK3

        SPELLED[name] || name.split("-").map(&:capitalize).join("-")
      end

      def self.add(headers, name, value)
        before = headers[name]
        headers[name] = before.nil? ? value : several(before, value)
      end
      private_class_method :add

      # Servers split at line feeds, and drop what is empty at the end: a space keeps it.
      def self.several(before, value)
        return [*before, value] if RACK3

        value.empty? ? "#{before}\n " : "#{before}\n#{value}"
      end
      private_class_method :several
    end
  end
end
