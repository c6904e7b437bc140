package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.shim.log.Log;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.time.Clock;
import java.util.List;

/**
 * {@code brigd}: one per node. Holds nothing that its end would lose, so it has no orderly end: a
 * SIGTERM ends it at once, and the keepers go on.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    Log log = Log.toStandardError();
    Thread.setDefaultUncaughtExceptionHandler((thread, fault) ->
        log.with("thread", thread.getName()).error("thread ended by a fault", fault));
    try {
      run(Options.parse(List.of(arguments), System.getenv()), log);
    } catch (BrigException e) {
      log.error(String.valueOf(e.getMessage()));
      System.exit(1);
    } catch (IOException e) {
      log.error("serve the socket: " + e.getMessage());
      System.exit(1);
    }
  }

  private static void run(Options options, Log log) throws BrigException, IOException {
    SandboxConfig config = Configuration.read(options);
    try (ServerSocketChannel listener = Listeners.open(options, config);
        Daemon daemon = Daemon.on(listener, config, Clock.systemUTC(), log)) {
      log.with("version", Version.program()).with("run", config.paths().run()).info("brigd serves");
      daemon.run();
    }
  }
}
