package brig.testing;

import java.util.ArrayList;
import java.util.List;

/** containerd's own command line, as users drive it. */
public final class Ctr {

  private final Containerd containerd;
  private final String namespace;

  Ctr(Containerd containerd, String namespace) {
    this.containerd = containerd;
    this.namespace = namespace;
  }

  /** {@code ctr} with these arguments. */
  public Command command(String... arguments) {
    return command(List.of(arguments));
  }

  public Command command(List<String> arguments) {
    return new Command(line(arguments)).environment(containerd.environment());
  }

  /** The whole command line, for those that give it a terminal. */
  public List<String> line(List<String> arguments) {
    List<String> line = new ArrayList<>();
    line.add(containerd.program("ctr").toString());
    line.add("--address");
    line.add(containerd.address().toString());
    line.add("--namespace");
    line.add(namespace);
    line.addAll(arguments);
    return line;
  }

  /** {@code ctr run} of the test image with the runtime under test. */
  public Run run(String id) {
    return new Run(id);
  }

  /** {@code ctr tasks exec} in a container. */
  public Command exec(String id, String... command) {
    List<String> arguments = new ArrayList<>(List.of("tasks", "exec", "--exec-id"));
    arguments.add(Names.fresh("exec"));
    arguments.add(id);
    arguments.addAll(List.of(command));
    return command(arguments);
  }

  /** Ends and removes a container, whatever state it is in. */
  public void remove(String id) {
    command("tasks", "kill", "--signal", "KILL", id).run();
    command("tasks", "delete", "--force", id).run();
    command("containers", "delete", id).run();
  }

  /** The status column of {@code ctr tasks ls}, or empty. */
  public String status(String id) {
    return command("tasks", "ls")
        .run()
        .orFail()
        .stdout()
        .lines()
        .map(line -> line.trim().split("\\s+"))
        .filter(columns -> columns.length == 3 && columns[0].equals(id))
        .map(columns -> columns[2])
        .findFirst()
        .orElse("");
  }

  /** The host pid of a container's init. */
  public int pid(String id) {
    return command("tasks", "ls")
        .run()
        .orFail()
        .stdout()
        .lines()
        .map(line -> line.trim().split("\\s+"))
        .filter(columns -> columns.length == 3 && columns[0].equals(id))
        .mapToInt(columns -> Integer.parseInt(columns[1]))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no task " + id));
  }

  /** A {@code ctr run} being put together. */
  public final class Run {
    private final String id;
    private final List<String> flags = new ArrayList<>();
    private String image = Images.BUSYBOX;
    private String runtime = containerd.settings().runtime();

    private Run(String id) {
      this.id = id;
    }

    public Run flags(String... more) {
      flags.addAll(List.of(more));
      return this;
    }

    /** Another image, or a directory where {@code --rootfs} is among the flags. */
    public Run image(String name) {
      image = name;
      return this;
    }

    public Run runtime(String name) {
      runtime = name;
      return this;
    }

    /** In the foreground, removed at its end. */
    public Command foreground(String... command) {
      flags.addFirst("--rm");
      return with(command);
    }

    /** Started and left running. */
    public Command detached(String... command) {
      flags.addFirst("--detach");
      return with(command);
    }

    public Command with(String... command) {
      return Ctr.this.command(arguments(command));
    }

    public List<String> arguments(String... command) {
      List<String> arguments = new ArrayList<>(List.of("run", "--runtime", runtime));
      arguments.addAll(flags);
      arguments.add(image);
      arguments.add(id);
      arguments.addAll(List.of(command));
      return arguments;
    }
  }
}
