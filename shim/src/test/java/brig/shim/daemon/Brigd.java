package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.shim.log.Log;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Set;

/** The daemon on a socket of its own, within the test's process, to be ended and started again. */
final class Brigd implements AutoCloseable {
  private final Path run;
  private final ByteArrayOutputStream log = new ByteArrayOutputStream();
  private final Clock clock;
  private Daemon server;

  Brigd(Path run) throws IOException, BrigException {
    this(run, Clock.systemUTC());
  }

  /**
   * @param clock what all daemons here take for the time
   */
  Brigd(Path run, Clock clock) throws IOException, BrigException {
    this.run = run;
    this.clock = clock;
    this.server = start();
  }

  Path socket() {
    return run.resolve("brigd.sock");
  }

  /** Ends this daemon as its death would, and starts the next one on the same socket. */
  void restart() throws IOException, BrigException {
    server.close();
    server = start();
  }

  String log() {
    return log.toString(StandardCharsets.UTF_8);
  }

  private Daemon start() throws IOException, BrigException {
    // A range that a live process of this host maps isn't given out, so none of the usual pool.
    SandboxConfig.Ids ids = new SandboxConfig.Ids(1L << 28, 100 << 16, 1 << 16, Set.of(), false);
    SandboxConfig config =
        SandboxConfig.DEFAULT
            .with(new SandboxConfig.Paths(run.toString(), run.toString(), run.toString()))
            .with(ids);
    Daemon started =
        Daemon.on(Listeners.bind(socket()), config, clock, Log.to(log, Clock.systemUTC()));
    Thread.ofVirtual().start(started::run);
    return started;
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
