package brig.sandbox.systemd;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.dbus.Connection;
import brig.sandbox.dbus.DBusException;
import brig.sandbox.dbus.Variant;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Makes, changes and ends scopes. Each call is a conversation of its own with systemd, so that
 * nothing is held between them which a restart of the bus could break; each has a time limit.
 */
public final class Scopes {
  private static final String SYSTEMD = "org.freedesktop.systemd1";
  private static final String PATH = "/org/freedesktop/systemd1";
  private static final String MANAGER = "org.freedesktop.systemd1.Manager";
  private static final String UNIT = "org.freedesktop.systemd1.Unit";
  private static final String PROPERTIES = "org.freedesktop.DBus.Properties";
  private static final String UNIT_EXISTS = SYSTEMD + ".UnitExists";
  private static final String NO_SUCH_UNIT = SYSTEMD + ".NoSuchUnit";
  private static final String DONE = "done";
  private static final String MATCH =
      "type='signal',sender='" + SYSTEMD + "',interface='" + MANAGER + "',member='JobRemoved'";

  /** An older job of the same unit is replaced. */
  private static final String MODE = "replace";

  /** Where systemd is spoken to. */
  public static final Path BUS = Path.of("/run/dbus/system_bus_socket");

  /** systemd's own socket, for root alone: there also where no bus is. */
  public static final Path PRIVATE = Path.of("/run/systemd/private");

  /** For a whole conversation; containerd waits two minutes for a Create. */
  public static final Duration LIMIT = Duration.ofSeconds(30);

  private final Path bus;
  private final Path direct;
  private final Duration limit;

  public Scopes() {
    this(BUS, PRIVATE, LIMIT);
  }

  public Scopes(Path bus, Path direct, Duration limit) {
    this.bus = bus;
    this.direct = direct;
    this.limit = limit;
  }

  /** What is done within a conversation. */
  private interface Talk<R> {
    R run(Connection connection) throws DBusException, BrigException;
  }

  /**
   * Makes the scope around a process, and returns once the process stands in it.
   *
   * @param owner what no other making has for its owner; a scope that is there already and has this
   *     one was made by an earlier run of the same making, and is taken
   */
  public void start(ScopeName name, String owner, int firstPid, List<UnitProperty> limits)
      throws BrigException {
    talk(
        "start scope",
        name.unit(),
        connection -> {
          try {
            startOnce(connection, name, owner, firstPid, limits);
          } catch (DBusException.Refused e) {
            if (!e.name().equals(UNIT_EXISTS)) {
              throw e;
            }
            String path = path(connection, name.unit());
            if (isOwnedBy(connection, path, owner)) {
              awaitPendingJob(connection, name.unit(), path);
              return name;
            }
            // One that has failed is only kept to be looked at.
            reset(connection, name.unit());
            startOnce(connection, name, owner, firstPid, limits);
          }
          return name;
        });
  }

  private static void startOnce(
      Connection connection, ScopeName name, String owner, int firstPid, List<UnitProperty> limits)
      throws DBusException, BrigException {
    List<Object> properties = new ArrayList<>();
    add(properties, "Description", Variant.string(owner));
    add(properties, "Slice", Variant.string(name.slice()));
    add(properties, "PIDs", Variant.uint32s(List.of((long) firstPid)));
    add(properties, "Delegate", Variant.bool(true));
    // At shutdown containers go with whoever orders them, not before every other unit.
    add(properties, "DefaultDependencies", Variant.bool(false));
    add(properties, "CollectMode", Variant.string("inactive-or-failed"));
    for (String what : List.of("CPU", "Memory", "IO", "Tasks")) {
      add(properties, what + "Accounting", Variant.bool(true));
    }
    limits.forEach(limit -> add(properties, limit.name(), limit.value()));
    String job =
        job(
            connection,
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            List.of(name.unit(), "fail", properties, List.of()));
    requireDone(connection, name.unit(), awaitEnd(connection, job));
  }

  private static void requireDone(Connection connection, String unit, String result)
      throws DBusException, BrigException {
    if (!result.equals(DONE)) {
      reset(connection, unit);
      throw new BrigException(
          Kind.UNKNOWN,
          "start scope",
          unit,
          "systemd's job ended as " + result,
          "systemd says why in its log (journalctl -u " + unit + ")");
    }
  }

  /** A unit is there before its job has made its cgroup. */
  private static void awaitPendingJob(Connection connection, String unit, String path)
      throws DBusException, BrigException {
    // Its number, 0 for none, and its object.
    if (property(connection, path, "Job") instanceof List<?> job
        && job.size() == 2
        && !job.getFirst().equals(0L)) {
      requireDone(connection, unit, awaitEnd(connection, String.valueOf(job.get(1))));
    }
  }

  private static void add(List<Object> properties, String name, Variant value) {
    properties.add(List.of(name, value));
  }

  private static String path(Connection connection, String unit) throws DBusException {
    return (String) manager(connection, "GetUnit", "s", List.of(unit)).getFirst();
  }

  private static boolean isOwnedBy(Connection connection, String path, String owner)
      throws DBusException {
    return property(connection, path, "Description").equals(owner);
  }

  private static Object property(Connection connection, String path, String name)
      throws DBusException {
    Object value =
        connection.call(SYSTEMD, path, PROPERTIES, "Get", "ss", List.of(UNIT, name)).getFirst();
    return value instanceof Variant variant ? variant.value() : value;
  }

  /** Changes limits while the scope lives; they last as long as it does. */
  public void update(String unit, List<UnitProperty> limits) throws BrigException {
    if (limits.isEmpty()) {
      return;
    }
    List<Object> properties = new ArrayList<>();
    limits.forEach(limit -> add(properties, limit.name(), limit.value()));
    talk(
        "update scope",
        unit,
        connection ->
            manager(connection, "SetUnitProperties", "sba(sv)", List.of(unit, true, properties)));
  }

  /**
   * Ends the scope, where it hasn't ended by itself, and has systemd forget it. One of another
   * owner, which got the name since, is left alone.
   */
  public void stop(String unit, String owner) throws BrigException {
    talk(
        "stop scope",
        unit,
        connection -> {
          try {
            if (isOwnedBy(connection, path(connection, unit), owner)) {
              awaitEnd(connection, job(connection, "StopUnit", "ss", List.of(unit, MODE)));
              reset(connection, unit);
            }
          } catch (DBusException.Refused e) {
            if (!e.name().equals(NO_SUCH_UNIT)) {
              throw e;
            }
          }
          return unit;
        });
  }

  /** Forgets that a unit has failed; one that hasn't, or isn't there, is as well. */
  private static void reset(Connection connection, String unit) throws DBusException {
    try {
      manager(connection, "ResetFailedUnit", "s", List.of(unit));
    } catch (DBusException.Refused e) {
      if (!e.name().equals(NO_SUCH_UNIT)) {
        throw e;
      }
    }
  }

  private static List<Object> manager(
      Connection connection, String method, String signature, List<Object> arguments)
      throws DBusException {
    return connection.call(SYSTEMD, PATH, MANAGER, method, signature, arguments);
  }

  private static String job(
      Connection connection, String method, String signature, List<Object> arguments)
      throws DBusException {
    return String.valueOf(manager(connection, method, signature, arguments).getFirst());
  }

  /** The job's number, object, unit, result. */
  private static String awaitEnd(Connection connection, String job) throws DBusException {
    return connection.awaitSignal(
        MANAGER,
        "JobRemoved",
        "uoss",
        body ->
            body.get(1).equals(job) ? Optional.of(String.valueOf(body.get(3))) : Optional.empty());
  }

  private <R> R talk(String step, String unit, Talk<R> talk) throws BrigException {
    try (Connection connection = connect()) {
      return talk.run(connection);
    } catch (DBusException e) {
      throw failed(step, unit, e);
    }
  }

  private Connection connect() throws DBusException {
    Connection connection;
    try {
      connection = Connection.toBus(bus, limit);
    } catch (DBusException.Unreachable e) {
      if (Files.exists(direct)) {
        return Connection.toService(direct, limit);
      }
      throw e;
    }
    try {
      connection.subscribe(MATCH);
      // systemd sends no signals on the bus before somebody wants them.
      connection.call(SYSTEMD, PATH, MANAGER, "Subscribe", "", List.of());
      return connection;
    } catch (DBusException e) {
      connection.close();
      throw e;
    }
  }

  private static BrigException failed(String step, String unit, DBusException e) {
    String cause = String.valueOf(e.getMessage());
    return switch (e) {
      case DBusException.Refused refused when refused.name().equals(UNIT_EXISTS) ->
          new BrigException(
              Kind.ALREADY_EXISTS,
              step,
              unit,
              "another container, or one that is gone, has this unit",
              "look at it with systemctl status " + unit);
      case DBusException.Refused refused when refused.name().equals(NO_SUCH_UNIT) ->
          new BrigException(
              Kind.NOT_FOUND, step, unit, "the unit is gone", "somebody else has stopped it");
      case DBusException.Refused refused ->
          new BrigException(Kind.UNKNOWN, step, unit, cause + " (" + refused.name() + ")", "");
      case DBusException.Late late ->
          new BrigException(
              Kind.DEADLINE_EXCEEDED,
              step,
              unit,
              "systemd gave " + cause,
              "see whether systemd or the message bus hangs (systemctl list-jobs)");
      default ->
          new BrigException(
              Kind.FAILED_PRECONDITION,
              step,
              unit,
              "systemd can't be spoken to: " + cause,
              "start the message bus, or use the cgroupfs driver");
    };
  }
}
