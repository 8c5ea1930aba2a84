# frozen_string_literal: true

require "English"
require "rack/streaming_proxy/testing/minitest"

# The public API is documented: in comments that YARD reads, in signatures, in README.md and in
# docs/architecture.md; and these agree with the code.
RSpec.describe "The documentation" do
  library = Rack::StreamingProxy
  root = RubyProcess::ROOT
  readme = File.read(File.join(root, "README.md"))

  # What YARD sees in the comments: asked in a process of its own, for YARD extends core classes.
  yard = <<~'RUBY'
    require "json"
    require "stringio"
    require "yard"
    warnings = StringIO.new
    YARD::Logger.instance.io = warnings
    YARD.parse(["lib/**/*.rb"], [], YARD::Logger::WARN)
    objects = YARD::Registry.all(:module, :class, :method, :constant).map do |object|
      { path: object.path, type: object.type, visibility: object.visibility,
        documented: !object.docstring.blank?, private: object.tag(:api)&.text == "private" }
    end
    puts JSON.generate([objects, warnings.string])
  RUBY

  before(:context) do
    result = RubyScript.run(yard)
    objects, @warnings = JSON.parse(result.output, symbolize_names: true)
    @objects = objects.to_h { |object| [object[:path], object] }
  end

  # Everything that can be named from outside.
  define_method(:modules) do |namespace = library|
    inner = namespace.constants.map { |name| namespace.const_get(name) }.grep(Module)
    inner = inner.select { |one| one.name.start_with?("#{namespace.name}::") }
    [namespace, *inner.flat_map { |one| modules(one) }].uniq
  end

  # What is defined by the extension, which YARD does not read.
  def native
    modules.select { |one| one.name.include?("::Native") }
  end

  # What is for those who use the gem, not only for those who change it.
  def public_modules
    (modules - native).reject { |one| private?(one.name) }
  end

  # Methods that a class or module itself defines.
  def instance_methods_of(one)
    names = one.public_instance_methods(false)
    names += one.private_instance_methods(false) & [:initialize]
    names.map { |name| one.instance_method(name) }
  end

  def singleton_methods_of(one)
    one.singleton_methods(false).map { |name| one.method(name) }
  end

  # @return [Hash{String => Method}] by the names that YARD gives
  def methods_of(one)
    { "#" => instance_methods_of(one), "." => singleton_methods_of(one) }
      .flat_map { |mark, methods| methods.map { |method| ["#{one}#{mark}#{method.name}", method] } }
      .to_h
  end

  def private?(path)
    @objects.dig(path, :private)
  end

  def section(text, title)
    text[/^## #{title}\n(.*?)(?=^## |\z)/m, 1]
  end

  # @return [Array<Array<String>>] cells of the rows of the first table
  def table(text)
    rows = text.lines(chomp: true).slice_when { |a, b| a.start_with?("|") != b.start_with?("|") }
    rows = rows.find { |lines| lines.first.start_with?("|") }.drop(2)
    rows.map { |row| row.delete_prefix("|").split("|").map(&:strip) }
  end

  # @return [Array<String>] what is set as code within the text
  def code_words(text)
    text.gsub(/^```.*?^```/m, "").scan(/`([^`]+)`/).flatten
  end

  describe "in comments" do
    it "says of every class and module what it is, of private ones too" do
      namespaces = @objects.values.select { |object| %w[class module].include?(object[:type]) }
      expect(namespaces.reject { |object| object[:documented] }.map { |object| object[:path] })
        .to be_empty
      expect(@objects.keys).to include(*(modules - native).map(&:name))
    end

    it "says of every public method what it does; of the settings the README does" do
      settings = library::Settings::ALL.keys.flat_map { |name| [name, :"#{name}="] }
      methods = public_modules.map { |one| methods_of(one) }.reduce(:merge)
      paths = methods.reject { |_, method| settings.include?(method.name) }.keys
      expect(paths).to include("#{library}.stats", "#{library}::Proxy#call")
      expect(paths.reject { |path| @objects.dig(path, :documented) }).to be_empty
    end

    it "says of every public constant what it is" do
      constants = @objects.values.select do |object|
        object[:type] == "constant" && object[:visibility] == "public" && !object[:private]
      end
      expect(constants.reject { |object| object[:documented] }).to be_empty
    end

    it "does not call private what the README names" do
      names = code_words(readme).map { |name| "#{library}::#{name[/\w+\z/]}" }.uniq
      expect(names.select { |name| private?(name) }).to be_empty
    end

    it "has nothing that YARD warns of" do
      expect(@warnings).to eq("")
    end
  end

  describe "in signatures", skip: Signatures.missing do
    before(:context) do
      require "rbs"
      loader = RBS::EnvironmentLoader.new
      loader.add(path: Pathname(root).join("sig"))
      env = RBS::Environment.from_loader(loader).resolve_type_names
      @builder = RBS::DefinitionBuilder.new(env:)
    end

    def type_name(path)
      *namespace, name = path.split("::")
      RBS::TypeName.new(name: name.to_sym,
                        namespace: RBS::Namespace.parse("::#{namespace.join("::")}"))
    end

    # @return [Hash{String => Array}] the types of the methods that a class or module itself
    #   declares, by YARD's names; without `new` where RBS derives it from `initialize`
    def declared(one)
      name = type_name(one.name)
      { "#" => @builder.build_instance(name), "." => @builder.build_singleton(name) }
        .flat_map { |mark, all| own(all).map { |key, type| ["#{one}#{mark}#{key}", type] } }.to_h
    end

    def callable(definition)
      definition.methods.select { |name, method| method.public? || name == :initialize }
    end

    def own(definition)
      callable(definition).filter_map do |name, method|
        one = method.defs.find { |found| found.implemented_in == definition.type_name }
        [name, method.method_types] if one && (name != :new || one.member.name == :new)
      end
    end

    # Whether arguments are asked for in the same way.
    def alike?(method, type)
      kinds = method.parameters.group_by(&:first).transform_values { |list| list.map(&:last) }
      kinds.default = []
      function = type.type
      kinds[:req].size == function.required_positionals.size &&
        kinds[:opt].size == function.optional_positionals.size &&
        kinds[:rest].size == [function.rest_positionals].compact.size &&
        keywords_alike?(kinds, function)
    end

    # A signature may name what a method takes as `**options`.
    def keywords_alike?(kinds, function)
      required, optional = [function.required_keywords, function.optional_keywords].map(&:keys)
      more = optional - kinds[:key]
      kinds[:keyreq] == required && (kinds[:key] - optional).empty? &&
        (more.empty? || kinds.key?(:keyrest))
    end

    it "holds what `rbs validate` accepts" do
      output = IO.popen([RbConfig.ruby, Gem.bin_path("rbs", "rbs"), "-I", "sig", "validate"],
                        chdir: root, err: %i[child out], &:read)
      expect($CHILD_STATUS).to be_success, output
    end

    it "holds each public method, with its arguments, and none that there is not" do
      methods = (public_modules + native).map { |one| methods_of(one) }.reduce(:merge)
      types = (public_modules + native).map { |one| declared(one) }.reduce(:merge)
      expect(methods.keys.reject { |path| private?(path) } - types.keys).to be_empty
      expect(types.keys - methods.keys).to be_empty
      different = types.reject do |path, overloads|
        overloads.all? { |type| alike?(methods.fetch(path), type) }
      end
      expect(different.keys).to be_empty
    end

    it "holds the methods of the generator, which Rails alone loads" do
      generator = "StreamingProxy::Generators::InstallGenerator"
      methods = @objects.keys.filter_map { |path| path[/\A#{generator}#(\w+)\z/, 1] }
      expect(methods).to include("copy_initializer")
      declared = own(@builder.build_instance(type_name(generator))).map { |name,| name.to_s }
      expect(declared).to match_array(methods)
    end

    it "names each setting where settings are given" do
      [library::Proxy, library::Target].each do |one|
        type, = @builder.build_instance(type_name(one.name)).methods.fetch(:initialize).method_types
        expect(type.type.optional_keywords.keys).to eq(library::Settings::ALL.keys)
      end
    end
  end

  describe "in README.md" do
    it "lists the settings that there are, in their order, with their defaults" do
      rows = table(section(readme, "Settings"))
      expect(rows.map(&:first)).to eq(library::Settings::ALL.keys.map { |name| "`#{name}`" })
      rows.zip(library::Settings::DEFAULTS.values) do |(name, written, _), default|
        written = written.delete("`")
        literal = written.match?(/\A(:\w+|\d+|true|false|nil|\{\}|"[^"]*")\z/)
        expect(default.inspect).to eq(literal ? written : "nil"), name
      end
    end

    it "names every error class" do
      names = public_modules.select { |one| one <= library::Failure }
      names = names.map { |one| one.name.split("::").last }
      expect(names - code_words(readme).flat_map { |text| text.scan(/\w+/) }).to be_empty
    end

    it "names no error class that there is not" do
      names = code_words(section(readme, "Errors")).grep(/\A[A-Z]\w+(::\w+)*\z/)
      names |= code_words(readme).grep(/(Error|Refused|Detected)\z/)
      names = names.map { |name| name.delete_prefix("#{library}::") }
      expect(names).to include("ConnectError", "Errno::ECONNREFUSED")
      expect(names.reject { |name| library.const_defined?(name) }).to be_empty
    end

    it "links to files that exist" do
      files = readme.scan(/\]\(([^)#:]+)\)/).flatten
      expect(files).to include("docs/architecture.md")
      expect(files.reject { |file| File.exist?(File.join(root, file)) }).to be_empty
    end
  end

  describe "in docs/architecture.md" do
    # From the top or within a directory, where source files are named without their suffix.
    define_method(:file?) do |name, directory|
      ["", "#{directory}/", "#{directory}/src/**/"].any? do |place|
        Dir.glob("#{place}#{name.chomp("/")}{,.rb,.rs}", base: root).any?
      end
    end

    it "names files that exist" do
      rows = table(section(File.read(File.join(root, "docs/architecture.md")), "Rooms"))
      missing = rows.flat_map do |where, what|
        places = code_words(where).map { |name| name.sub("...", "lib/rack/streaming_proxy") }
        directory = places.first.start_with?("lib/") ? File.dirname(places.first) : places.first
        [*places, *code_words(what)].reject { |name| file?(name, directory) }
      end
      expect(missing).to be_empty
    end
  end
end
