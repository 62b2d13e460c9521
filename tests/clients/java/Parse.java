import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

/** Reads JDBC URLs, one a line, and answers how pgJDBC understands each: hex of UTF-8, tabs between. */
public class Parse {
    public static void main(String[] args) throws Exception {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String url;
        while ((url = in.readLine()) != null) {
            Properties p = org.postgresql.Driver.parseURL(url, null);
            String[] keys = {"user", "password", "PGHOST", "PGPORT", "PGDBNAME"};
            StringBuilder out = new StringBuilder();
            for (String key : keys) {
                String value = p == null ? null : p.getProperty(key);
                for (byte b : (value == null ? "" : value).getBytes(StandardCharsets.UTF_8)) {
                    out.append(String.format("%02x", b));
                }
                out.append('\t');
            }
            System.out.println(out);
        }
    }
}
