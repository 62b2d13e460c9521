import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** The workload of tests/clients/workload.py. */
public class Work {
    static final String URL = System.getenv("WORK_URL");
    static final String CLIENT = System.getenv("WORK_CLIENT");
    static final int WORKERS = Integer.parseInt(System.getenv("WORK_WORKERS"));
    static final int ROUNDS = Integer.parseInt(System.getenv("WORK_ROUNDS"));
    static final boolean TOGETHER = !System.getenv("WORK_TOGETHER").isEmpty();
    static final CyclicBarrier CONNECTED = new CyclicBarrier(WORKERS);

    public static void main(String[] args) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(WORKERS);
        List<Future<Void>> all = new ArrayList<>();
        for (int i = 0; i < WORKERS; i++) {
            int worker = i;
            all.add(threads.submit(() -> work(worker)));
        }
        threads.shutdown();
        for (Future<Void> one : all) {
            one.get();
        }
    }

    static Void work(int worker) throws Exception {
        try (Connection connection = DriverManager.getConnection(URL)) {
            if (TOGETHER) {
                CONNECTED.await(60, TimeUnit.SECONDS);
            }
            connection.setAutoCommit(false);
            try (PreparedStatement sum = connection.prepareStatement("SELECT ?::int + ?::int");
                    PreparedStatement write =
                            connection.prepareStatement("INSERT INTO work VALUES (?, ?, ?)")) {
                for (int round = 0; round < ROUNDS; round++) {
                    sum.setInt(1, worker);
                    sum.setInt(2, round);
                    try (ResultSet rows = sum.executeQuery()) {
                        rows.next();
                        if (rows.getInt(1) != worker + round) {
                            throw new AssertionError(rows.getInt(1));
                        }
                    }
                    write.setString(1, CLIENT);
                    write.setInt(2, worker);
                    write.setInt(3, round);
                    write.executeUpdate();
                    connection.commit();
                }
            }
        }
        return null;
    }
}
