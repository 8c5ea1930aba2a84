# frozen_string_literal: true

# The subjects of spec/servers/behaviour, in the order of the README's table.
module ServerBehaviour
  SUBJECTS = %w[streaming].freeze
end
