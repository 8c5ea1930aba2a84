# frozen_string_literal: true

# Builds the extension with the rb_sys gem where it is installed, which also cross-compiles and
# brings Rust where there is none; otherwise with a Makefile that calls cargo.

require "mkmf"

LIBRARY = "rack_streaming_proxy"
INSTALL_DIR = "rack/streaming_proxy"

def build_with_rb_sys
  require "rb_sys/mkmf"
  create_rust_makefile("#{INSTALL_DIR}/#{LIBRARY}")
  true
rescue LoadError
  false
end

def cargo
  found = find_executable("cargo") || find_executable(File.join(Dir.home, ".cargo", "bin", "cargo"))
  found || abort(<<~MESSAGE)
    rack-streaming-proxy is built with Rust, and there is no cargo here.
    Install Rust 1.85 or newer (https://rustup.rs, or your system's packages) and try again.
  MESSAGE
end

# RubyGems up to 3.3 never cleans: what cargo leaves behind is hundreds of megabytes, and a second
# copy of the library. It sets SOURCE_DATE_EPOCH while it builds an extension.
def makefile(cargo)
  target_dir = File.join(Dir.pwd, "target")
  built = "lib#{LIBRARY}.#{RbConfig::CONFIG["SOEXT"]}"
  features = ENV["RACK_STREAMING_PROXY_FEATURES"]
  <<~MAKEFILE
    DESTDIR =
    sitearchdir = #{RbConfig::CONFIG["sitearchdir"]}
    target_prefix = /#{INSTALL_DIR}
    DLLIB = #{LIBRARY}.#{RbConfig::CONFIG["DLEXT"]}
    TARGET_DIR = #{target_dir}
    export RUBY = #{RbConfig.ruby}

    all: $(DLLIB)

    # cargo knows best whether anything is to be done.
    $(DLLIB): FORCE
    \t#{cargo} build --locked --release --lib --manifest-path #{__dir__}/Cargo.toml \
    --target-dir $(TARGET_DIR)#{" --features #{features}" if features}
    \tcmp -s $(TARGET_DIR)/release/#{built} $(DLLIB) || cp $(TARGET_DIR)/release/#{built} $(DLLIB)

    # A process that has the library loaded keeps its own file: writing into it would crash it.
    INSTALLED = $(DESTDIR)$(sitearchdir)$(target_prefix)/$(DLLIB)
    install: all
    \tmkdir -p $(DESTDIR)$(sitearchdir)$(target_prefix)
    \tcmp -s $(DLLIB) $(INSTALLED) || { rm -f $(INSTALLED) && cp $(DLLIB) $(INSTALLED); }
    \ttouch $(INSTALLED)
    #{"\trm -rf $(TARGET_DIR) $(DLLIB)" if ENV.key?("SOURCE_DATE_EPOCH")}

    clean:
    \trm -rf $(TARGET_DIR) $(DLLIB)

    distclean: clean

    .PHONY: all install clean distclean FORCE
    FORCE:
  MAKEFILE
end

File.write("Makefile", makefile(cargo)) unless build_with_rb_sys
