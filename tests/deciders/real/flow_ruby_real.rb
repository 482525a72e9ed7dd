# Ruby's own YAML, called as AWS Flow for Ruby calls it in its YAMLDataConverter: what it writes
# ("write"), and what it makes of texts ("read", from stdin).

require 'bigdecimal'
require 'date'
require 'json'
require 'set'
require 'yaml'

Pair = Struct.new(:a, :b)

class Order
  def initialize
    @id = 'A-17'
    @lines = [{ sku: 'b-1' }]
  end
end

class OrderRefused < StandardError
  def initialize(message, order)
    super(message)
    @order = order
  end
end

def load(text)
  YAML.respond_to?(:unsafe_load) ? YAML.unsafe_load(text) : YAML.load(text)
end

def failed
  raise OrderRefused.new("card declined: caf\u00e9", 'A-17')
rescue OrderRefused => e
  e.set_backtrace(["worker.rb:3:in `charge'", "worker.rb:9:in `<main>'"])
  YAML.dump_stream(e, e.backtrace)
end

def write
  shared = { size: 1 }
  text = 'x'
  strings = ['', ' ', 'a: b', ':name', 'yes', 'no', 'on', 'y', '~', 'null', '1', '1.5', '1,000', '0o17',
             '12e03', '1:30', '2024-01-02', '<<', '=', '- x', '# c', "multi\nline\n", "\u0000\u0001",
             "caf\u00e9 \u{1F600}", 'trailing ', '@a', '%a', '!a', '&a', '*a', '.5', '1_000', '0x1f', '+1']
  inputs = {
    'plain' => ['A-17', 3, nil, true, 1.5],
    'keywords' => ['A-17', { amount: 3, 'note': :gift }],
    'one hash' => [{ id: 'A-17', amount: 3 }],
    'string keys' => [{ 'id' => 'A-17' }],
    'nothing' => [],
    'strings' => strings,
    'symbols' => [:name, :"a name", :"a: b", :"1", :a?, :[]],
    'numbers' => [2**70, -1, 1e20, 1.0 / 0, BigDecimal('-1.50')],
    'times' => [Time.at(0).utc, Time.at(0.5).localtime('+02:00'), Date.new(2024, 1, 2)],
    'bytes' => ["\xff\xfe".b],
    'objects' => [Order.new, Pair.new(1, 2), Set[1, 2], 1..3, /a/, String],
    'shared' => [shared, shared, text, text]
  }
  { inputs: inputs.transform_values(&:to_yaml), failed: failed }
end

def shown(value)
  case value
  when Symbol then "Symbol #{value}"
  when Array then value.map { |each| shown(each) }
  when Hash then value.map { |name, each| [shown(name), shown(each)] }.to_h
  when NilClass, TrueClass, FalseClass, Numeric, String then value
  else value.inspect
  end
end

def read(given)
  if given.key?('failed')
    error = load(given['failed'])
    error.set_backtrace(YAML.load_stream(given['failed']).find { |each| !each.is_a?(Exception) }.to_a)
    { class: error.class.name, message: error.message, backtrace: error.backtrace,
      retryable: error.instance_variable_get(:@retryable),
      details: shown(error.instance_variable_get(:@details)) }
  elsif given.key?('dump')
    { dumped: given['dump'].map { |value| [value].to_yaml } }
  else
    { results: given['results'].map { |text| shown(load(text)) } }
  end
end

said = ARGV[0] == 'write' ? write : read(JSON.parse($stdin.read))
puts JSON.pretty_generate({ library: "Psych #{Psych::VERSION} of Ruby #{RUBY_VERSION}" }.merge(said))
