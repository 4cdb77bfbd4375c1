import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** What each independent client for Java needs beside itself; the twin of oracle.py. */
final class Oracle {
  private static final Duration WAIT = Duration.ofSeconds(20);

  private Oracle() {}

  /** What may fail. */
  interface Action {
    void run() throws Exception;
  }

  /** Whether a message is the one that is waited for. */
  interface Filter {
    boolean accepts(Message message) throws Exception;
  }

  /** A notification as it arrived: header names in small letters, the raw body. */
  record Message(Map<String, String> headers, String body) {
    Map<String, String> form() {
      Map<String, String> fields = new HashMap<>();
      for (String pair : body.split("&")) {
        int at = pair.indexOf('=');
        fields.put(decoded(pair.substring(0, at)), decoded(pair.substring(at + 1)));
      }
      return fields;
    }

    private static String decoded(String text) {
      return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }
  }

  /** The sandbox's manifest and its control API: what the payer does. */
  static final class Sandbox {
    final JsonObject manifest;
    private final HttpClient http = HttpClient.newHttpClient();

    Sandbox(String path) throws IOException {
      manifest = JsonParser.parseString(read(path)).getAsJsonObject();
    }

    /** POST to the control API; the content is names and values in turn. */
    JsonObject act(String path, Object... content) throws Exception {
      JsonObject body = new JsonObject();
      for (int at = 0; at < content.length; at += 2) {
        body.addProperty((String) content[at], String.valueOf(content[at + 1]));
      }
      URI uri = URI.create(manifest.get("control_url").getAsString() + "/" + path);
      HttpRequest.Builder request = HttpRequest.newBuilder(uri).timeout(WAIT);
      request.header("Content-Type", "application/json");
      request.POST(HttpRequest.BodyPublishers.ofString(body.toString()));
      return send(request).getAsJsonObject();
    }

    /** The refunds of an order that moved money, in fen, as the sandbox's own ledger says. */
    List<Integer> refunded(String reference) throws Exception {
      URI uri = URI.create(manifest.get("control_url").getAsString() + "/ledger");
      JsonArray moves = send(HttpRequest.newBuilder(uri).timeout(WAIT)).getAsJsonArray();
      List<Integer> found = new ArrayList<>();
      for (JsonElement each : moves) {
        JsonObject move = each.getAsJsonObject();
        boolean own = move.get("reference").getAsString().equals(reference);
        if (own && move.get("kind").getAsString().equals("refund")) {
          found.add(move.get("amount").getAsInt());
        }
      }
      return found;
    }

    private JsonElement send(HttpRequest.Builder request) throws Exception {
      HttpResponse<String> answer =
          http.send(request.build(), HttpResponse.BodyHandlers.ofString());
      holds(answer.statusCode() / 100 == 2, answer.body());
      return JsonParser.parseString(answer.body());
    }
  }

  /** A merchant's endpoint on a free port: keeps what comes, answers as the provider wants. */
  static final class Receiver implements AutoCloseable {
    private final LinkedBlockingQueue<Message> messages = new LinkedBlockingQueue<>();
    private final HttpServer server;
    final String url;

    Receiver(int status, String body) throws IOException {
      server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
      server.setExecutor(Executors.newCachedThreadPool(Oracle::daemon));
      byte[] answer = body.getBytes(StandardCharsets.UTF_8);
      server.createContext(
          "/",
          exchange -> {
            Map<String, String> headers = new HashMap<>();
            exchange
                .getRequestHeaders()
                .forEach((name, values) -> headers.put(name.toLowerCase(), values.get(0)));
            byte[] content = exchange.getRequestBody().readAllBytes();
            messages.add(new Message(headers, new String(content, StandardCharsets.UTF_8)));
            exchange.sendResponseHeaders(status, answer.length == 0 ? -1 : answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
          });
      server.start();
      url = "http://127.0.0.1:" + server.getAddress().getPort() + "/notify";
    }

    /** The next message that is about this; others are dropped. */
    Message next(Filter about) throws Exception {
      while (true) {
        Message message = messages.poll(WAIT.toSeconds(), TimeUnit.SECONDS);
        holds(message != null, "no such message came");
        if (about.accepts(message)) {
          return message;
        }
      }
    }

    @Override
    public void close() {
      server.stop(0);
    }
  }

  /** One line of the table: passes where the block ends without an exception. */
  static void check(String name, Action block) {
    JsonObject line = new JsonObject();
    line.addProperty("name", name);
    String detail = "";
    try {
      block.run();
    } catch (Exception | Error error) {
      detail = error.toString();
    }
    line.addProperty("passed", detail.isEmpty());
    line.addProperty("detail", detail.substring(0, Math.min(600, detail.length())));
    System.out.println(line);
  }

  /** Throw unless both are equal. */
  static void same(Object found, Object wanted) {
    holds(Objects.equals(found, wanted), found + " instead of " + wanted);
  }

  /** Throw unless the fact is true. */
  static void holds(boolean fact, Object otherwise) {
    if (!fact) {
      throw new IllegalStateException("does not hold: " + otherwise);
    }
  }

  /** Throw unless the action throws that kind; return what it threw. */
  static <T extends Throwable> T fails(Class<T> kind, Action action) {
    try {
      action.run();
    } catch (Exception | Error error) {
      holds(kind.isInstance(error), error);
      return kind.cast(error);
    }
    throw new IllegalStateException("no " + kind.getSimpleName());
  }

  /** An order or refund number of our own form. */
  static String newReference() {
    return UUID.randomUUID().toString().replace("-", "");
  }

  /** A file's text. */
  static String read(String path) throws IOException {
    return Files.readString(Path.of(path));
  }

  /** A text of a JSON object. */
  static String text(JsonObject object, String name) {
    return object.get(name).getAsString();
  }

  private static Thread daemon(Runnable task) {
    Thread thread = new Thread(task);
    thread.setDaemon(true);
    return thread;
  }
}
