// Jackson, set as the AWS Flow Framework for Java 2.0 sets it in its JsonDataConverter: what it
// writes ("write"), and what it makes of texts ("read": a class's name and a text on each two lines).
// java -cp jackson-databind.jar:jackson-core.jar:jackson-annotations.jar FlowJava.java write

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.cfg.PackageVersion;
import com.fasterxml.jackson.databind.jsontype.BasicPolymorphicTypeValidator;
import java.io.*;
import java.math.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

public class FlowJava {
    public enum Color { RED }

    public static class Line {
        public String sku = "b-1";
        public BigDecimal price = new BigDecimal("1.50");
    }

    public static class Order {
        public String id = "A-17";
        public long number = 5_000_000_000L;
        public Long boxed = 5L;
        public Integer none = null;
        public String[] hosts = {"www.example.com", "b"};
        public int[] counts = {1, 2};
        public byte[] raw = {-1, -2};
        public Color color = Color.RED;
        public Object anyColor = Color.RED;
        public UUID key = new UUID(0, 1);
        public Date at = new Date(1_704_164_645_678L);
        public BigDecimal price = new BigDecimal("1.10");
        public List<Line> lines = new ArrayList<>(List.of(new Line()));
        public Map<String, Object> more = new TreeMap<>(Map.of("a", 1, "b", List.of(2L)));
    }

    abstract static class ThrowableMixin {
        @JsonIgnore
        abstract String getLocalizedMessage();
    }

    static ObjectMapper mapper() {
        ObjectMapper mapper = new ObjectMapper();
        mapper.configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false);
        mapper.configure(SerializationFeature.FAIL_ON_EMPTY_BEANS, false);
        var any = BasicPolymorphicTypeValidator.builder().allowIfBaseType(Object.class).build();
        mapper.activateDefaultTyping(any, ObjectMapper.DefaultTyping.NON_FINAL);
        mapper.addMixIn(Throwable.class, ThrowableMixin.class);
        // Of java's way to run a source file, Jackson doesn't know the class loader.
        var loader = FlowJava.class.getClassLoader();
        mapper.setTypeFactory(mapper.getTypeFactory().withClassLoader(loader));
        return mapper;
    }

    static Map<String, Object> write(ObjectMapper mapper) throws IOException {
        Map<String, Object[]> scheduled = new LinkedHashMap<>();
        scheduled.put("plain", new Object[] {"A-17", 3, 1.5, true, null, "caf\u00e9 \ud83d\ude00"});
        scheduled.put("nothing", new Object[] {});
        scheduled.put("numbers", new Object[] {
            5_000_000_000L, (short) 1, (byte) 2, 1.5f, 'c', new BigDecimal("-1.50"),
            new BigDecimal("0.1000000000000000000001"), BigInteger.ONE.shiftLeft(70), Double.NaN});
        scheduled.put("arrays", new Object[] {
            new String[] {"com.acme.Order", "x"}, new int[] {1, 2}, new byte[] {-1, -2},
            new String[][] {{"com.acme.Order", "x"}}, new Object[] {"a", 1L}, new char[] {'a', 'b'}});
        Calendar calendar = new GregorianCalendar(TimeZone.getTimeZone("UTC"));
        calendar.setTimeInMillis(0);
        scheduled.put("times", new Object[] {
            new Date(1_704_164_645_678L), new java.sql.Timestamp(-1), calendar});
        Map<String, Object> map = new HashMap<>();
        map.put("list", new ArrayList<>(List.of("com.acme.Order", "x")));
        map.put("set", new LinkedHashSet<>(List.of(1)));
        map.put("pair", Arrays.asList("com.acme.Order", Map.of()));
        scheduled.put("collections", new Object[] {map, new LinkedList<>(List.of(1L)), List.of()});
        scheduled.put("objects", new Object[] {new Order(), Color.RED, new UUID(0, 1)});
        Map<String, String> inputs = new LinkedHashMap<>();
        for (var each : scheduled.entrySet()) {
            inputs.put(each.getKey(), mapper.writeValueAsString(each.getValue()));
        }
        Throwable error = new IllegalStateException("no", new RuntimeException("below"));
        error.setStackTrace(new StackTraceElement[] {new StackTraceElement("A", "f", "A.java", 3)});
        error.getCause().setStackTrace(new StackTraceElement[0]);
        Map<String, Object> said = new LinkedHashMap<>();
        said.put("inputs", inputs);
        said.put("failed", mapper.writeValueAsString(error));
        return said;
    }

    static Object read(ObjectMapper mapper, String type, String text) {
        try {
            Object value = mapper.readValue(text, Class.forName(type));
            if (value instanceof Throwable) {
                return trace((Throwable) value);
            }
            String name = value == null ? null : value.getClass().getName();
            return Arrays.asList(name, mapper.writeValueAsString(value));
        } catch (IOException | ClassNotFoundException error) {
            return "refused: " + error.getMessage();
        }
    }

    static String trace(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text, true));
        return text.toString();
    }

    public static void main(String[] arguments) throws IOException {
        ObjectMapper mapper = mapper();
        Map<String, Object> said = new LinkedHashMap<>();
        said.put("library", "Jackson " + PackageVersion.VERSION);
        if (arguments[0].equals("write")) {
            said.putAll(write(mapper));
        } else {
            List<Object> results = new ArrayList<>();
            var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String type = in.readLine(); type != null; type = in.readLine()) {
                results.add(read(mapper, type, in.readLine()));
            }
            said.put("results", results);
        }
        var plain = new ObjectMapper().writerWithDefaultPrettyPrinter();
        System.out.write(plain.writeValueAsBytes(said));
        System.out.println();
    }
}
