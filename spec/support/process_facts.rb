# frozen_string_literal: true

# What /proc tells of a process.
module ProcessFacts
  module_function

  # @return [Integer] resident memory in KiB
  def rss(pid)
    File.read("/proc/#{pid}/status")[/^VmRSS:\s+(\d+)/, 1].to_i
  end

  # @return [Integer] the largest resident memory so far, in KiB
  def peak_rss(pid)
    File.read("/proc/#{pid}/status")[/^VmHWM:\s+(\d+)/, 1].to_i
  end

  # Sets the largest resident memory back to the present one.
  def reset_peak_rss(pid)
    File.write("/proc/#{pid}/clear_refs", "5")
  end

  def fds(pid)
    Dir.children("/proc/#{pid}/fd").size
  end

  def threads(pid)
    Dir.children("/proc/#{pid}/task").size
  end

  # @return [Array<String>]
  def thread_names(pid)
    Dir["/proc/#{pid}/task/*/comm"].filter_map do |path|
      File.read(path).chomp
    rescue Errno::ENOENT, Errno::ESRCH
      nil # It has ended meanwhile.
    end
  end

  def zombies_of(pid)
    Dir["/proc/#{pid}/task/*/children"].flat_map { |path| File.read(path).split }.select do |child|
      File.read("/proc/#{child}/stat")[/\) (\w)/, 1] == "Z"
    rescue Errno::ENOENT
      false
    end
  end

  # @return [Array<Integer>] children and theirs
  def descendants(pid)
    children = Dir["/proc/#{pid}/task/*/children"].flat_map do |path|
      File.read(path).split
    rescue Errno::ENOENT, Errno::ESRCH
      []
    end
    children.flat_map { |child| [child.to_i, *descendants(child)] }
  end

  # @return [Hash{Integer => Integer}] the processes of a group, and the parent of each
  def group(group)
    Dir["/proc/[0-9]*"].filter_map do |path|
      parent, member_of = File.read("#{path}/stat")[/\) \w (.*)/, 1].split.first(2)
      [File.basename(path).to_i, parent.to_i] if member_of.to_i == group
    rescue Errno::ENOENT, Errno::ESRCH
      nil
    end.to_h
  end

  # @return [Boolean] not for one that has ended and waits for its parent
  def alive?(pid)
    !["Z", nil].include?(state(pid))
  end

  # @return [String] what the process calls itself; empty if it is gone
  def title(pid)
    File.read("/proc/#{pid}/cmdline").tr("\0", " ")
  rescue Errno::ENOENT, Errno::ESRCH
    ""
  end

  # TCP connections of this machine to a loopback port, in a state such as "SYN_SENT".
  # @return [Integer]
  def connections_to(port, state)
    code = { "ESTABLISHED" => "01", "SYN_SENT" => "02" }.fetch(state)
    tcp_table.count { |line| line[2].end_with?(port_suffix(port)) && line[3] == code }
  end

  # @return [Boolean] whether a server's end of a loopback connection is open, by the two ports
  def connected?(server, client)
    ends = [server, client].map { |port| port_suffix(port) }
    tcp_table.any? do |line|
      ends.zip(line[1, 2]).all? { |suffix, address| address.end_with?(suffix) } && line[3] != "06"
    end
  end

  # Bytes that the server of a loopback port has written and its clients have not read yet: those
  # in the socket buffers of both ends.
  def queued_from(port)
    queued(port, sender: 1, receiver: 2)
  end

  # The same in the other direction.
  def queued_to(port)
    queued(port, sender: 2, receiver: 1)
  end

  def queued(port, sender:, receiver:)
    tcp_table.sum do |line|
      unsent, unread = line[4].split(":").map(&:hex)
      next unsent if line[sender].end_with?(port_suffix(port))

      line[receiver].end_with?(port_suffix(port)) && line[3] != "0A" ? unread : 0
    end
  end

  # Fields of a line: number, local and remote address, state (0A is listening), queues.
  def tcp_table
    File.readlines("/proc/net/tcp").drop(1).map(&:split)
  end

  def state(pid)
    File.read("/proc/#{pid}/stat")[/\) (\w)/, 1]
  rescue Errno::ENOENT, Errno::ESRCH
    nil
  end

  def port_suffix(port)
    format(":%04X", port)
  end
end
