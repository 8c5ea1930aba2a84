# frozen_string_literal: true

require "rack-streaming-proxy"
