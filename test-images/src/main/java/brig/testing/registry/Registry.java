package brig.testing.registry;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/**
 * Serves the reading half of OCI's distribution protocol over TLS on loopback, for every registry
 * whose name is made to lead there: which one is meant, the request's Host says.
 *
 * <p>Its directory has {@code blobs/DIGEST}, and {@code HOST/NAME/TAG} files that hold a digest.
 */
public final class Registry implements AutoCloseable {

  private static final Pattern OBJECT =
      Pattern.compile("/v2/([a-z0-9][a-z0-9/_.-]*)/(manifests|blobs)/([A-Za-z0-9_:.-]+)");
  private static final Pattern HOST = Pattern.compile("([a-z0-9][a-z0-9.-]*)(:\\d+)?");
  private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");

  private final Path directory;
  private final HttpsServer server;
  private final ExecutorService workers = Executors.newVirtualThreadPerTaskExecutor();

  private Registry(Path directory, HttpsServer server) {
    this.directory = directory;
    this.server = server;
  }

  /**
   * Starts one.
   *
   * @param keys a PKCS #12 store with the certificate for all names it is to be reached by
   * @param port 0 for any
   */
  public static Registry start(Path directory, Path keys, char[] password, int port)
      throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(keys.toFile(), password);
    KeyManagerFactory managers =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    managers.init(store, password);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(managers.getKeyManagers(), null, null);
    HttpsServer server =
        HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.setHttpsConfigurator(new HttpsConfigurator(context));
    Registry registry = new Registry(directory, server);
    server.createContext("/", registry::answer);
    server.setExecutor(registry.workers);
    server.start();
    return registry;
  }

  public int port() {
    return server.getAddress().getPort();
  }

  @Override
  public void close() {
    server.stop(0);
    workers.close();
  }

  private void answer(HttpExchange exchange) throws IOException {
    try (exchange) {
      String method = exchange.getRequestMethod();
      if (!method.equals("GET") && !method.equals("HEAD")) {
        exchange.sendResponseHeaders(405, -1);
        return;
      }
      if (exchange.getRequestURI().getPath().equals("/v2/")) {
        exchange.sendResponseHeaders(200, -1);
        return;
      }
      Optional<Found> found = find(exchange);
      if (found.isEmpty()) {
        exchange.sendResponseHeaders(404, -1);
        return;
      }
      send(exchange, found.get(), method.equals("GET"));
    }
  }

  private static void send(HttpExchange exchange, Found found, boolean body) throws IOException {
    exchange.getResponseHeaders().set("Content-Type", found.type());
    exchange.getResponseHeaders().set("Docker-Content-Digest", found.digest());
    long size = Files.size(found.file());
    if (!body) {
      // The server leaves a HEAD's length to whoever answers it.
      exchange.getResponseHeaders().set("Content-Length", Long.toString(size));
      exchange.sendResponseHeaders(200, -1);
      return;
    }
    exchange.sendResponseHeaders(200, size);
    try (InputStream from = Files.newInputStream(found.file());
        OutputStream to = exchange.getResponseBody()) {
      from.transferTo(to);
    }
  }

  private Optional<Found> find(HttpExchange exchange) throws IOException {
    Matcher object = OBJECT.matcher(exchange.getRequestURI().getPath());
    String asked = Optional.ofNullable(exchange.getRequestHeaders().getFirst("Host")).orElse("");
    Matcher host = HOST.matcher(asked);
    if (!object.matches() || !host.matches() || object.group(1).contains("..")) {
      return Optional.empty();
    }
    boolean manifest = object.group(2).equals("manifests");
    String digest = object.group(3);
    if (manifest && !DIGEST.matcher(digest).matches()) {
      Path tag = directory.resolve(host.group(1)).resolve(object.group(1)).resolve(digest);
      if (!Files.isRegularFile(tag)) {
        return Optional.empty();
      }
      digest = Files.readString(tag);
    }
    Path file = directory.resolve("blobs").resolve(digest);
    if (!DIGEST.matcher(digest).matches() || !Files.isRegularFile(file)) {
      return Optional.empty();
    }
    String type =
        manifest
            ? new ObjectMapper().readTree(file.toFile()).path("mediaType").asText()
            : "application/octet-stream";
    return Optional.of(new Found(file, digest, type));
  }

  private record Found(Path file, String digest, String type) {}
}
