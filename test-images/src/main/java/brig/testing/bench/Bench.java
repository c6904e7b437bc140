package brig.testing.bench;

import brig.testing.ContainerdVersion;
import brig.testing.Settings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The program behind {@code scripts/bench}: measures, prints a table, writes the figures to a file.
 */
public final class Bench {

  private static final List<Measurement> ALL =
      List.of(
          new DaemonStart(),
          new Latency.Run(),
          new Latency.Phases(),
          new Latency.Exec(),
          new Burst(),
          new State(),
          new Cpu(),
          new Throughput(),
          new Growth());

  private Bench() {}

  /** What the command line asks for. */
  private record Options(
      Plan plan,
      Optional<Path> json,
      Optional<Path> plot,
      List<Subject> subjects,
      List<String> only,
      boolean trace) {

    static Options parse(String[] arguments, List<Subject> installed) {
      Plan plan = Plan.full();
      Optional<Path> json = Optional.empty();
      Optional<Path> plot = Optional.empty();
      List<Subject> subjects = installed;
      List<String> only = List.of();
      boolean trace = false;
      for (int i = 0; i < arguments.length; i++) {
        switch (arguments[i]) {
          case "--quick" -> plan = Plan.quick();
          case "--trace" -> trace = true;
          case "--json" -> json = Optional.of(Path.of(valueOf(arguments, i++)));
          case "--plot" -> plot = Optional.of(Path.of(valueOf(arguments, i++)));
          case "--runtimes" ->
              subjects =
                  Arrays.stream(valueOf(arguments, i++).split(","))
                      .map(name -> Subject.valueOf(name.toUpperCase(Locale.ROOT)))
                      .toList();
          case "--only" -> only = List.of(valueOf(arguments, i++).split(","));
          default ->
              throw new IllegalArgumentException(
                  "read the command line: " + arguments[i] + ": unknown (scripts/bench --help)");
        }
      }
      return new Options(plan, json, plot, subjects, only, trace);
    }

    private static String valueOf(String[] arguments, int option) {
      if (option + 1 == arguments.length) {
        throw new IllegalArgumentException(
            "read the command line: " + arguments[option] + ": its value is missing");
      }
      return arguments[option + 1];
    }

    boolean wants(Measurement measurement) {
      String name = measurement.getClass().getSimpleName().toLowerCase(Locale.ROOT);
      return only.isEmpty() || only.contains(name);
    }
  }

  public static void main(String[] arguments) {
    Settings settings = Settings.fromProperties();
    ContainerdVersion version = settings.versions().getFirst();
    List<Path> programs =
        Arrays.stream(System.getProperty("brig.bench.programs", "").split(":"))
            .filter(directory -> !directory.isEmpty())
            .map(Path::of)
            .toList();
    Options options = Options.parse(arguments, installed(programs));
    List<Row> rows = new ArrayList<>();
    Circumstances circumstances;
    try (Workbench bench = Workbench.open(settings, version, programs, options.subjects())) {
      circumstances =
          Circumstances.now(
              settings.home(),
              bench.containerd(),
              bench.has(Subject.BRIG)
                  ? bench.daemon().command("version").run().orFail().stdout().trim()
                  : "not measured",
              ("scripts/bench " + String.join(" ", arguments)).trim());
      if (options.trace()) {
        System.out.printf("%n%s%n%s", circumstances, new Trace(bench).take(options.plan().lives()));
        return;
      }
      for (Measurement measurement : ALL) {
        if (options.wants(measurement)) {
          long begin = System.nanoTime();
          rows.addAll(measurement.measure(bench, options.plan()));
          System.err.printf(
              Locale.ROOT,
              "  %-58s %6.1f s%n",
              measurement.title(),
              (System.nanoTime() - begin) / 1e9);
        }
      }
    }
    System.out.println();
    System.out.print(circumstances);
    System.out.println();
    System.out.print(Table.render(rows));
    List<String> lost = rows.stream().filter(Row::brigLoses).map(Row::key).toList();
    if (!lost.isEmpty()) {
      System.out.println();
      System.out.println("! Brig does worse than runc: " + String.join(", ", lost));
    }
    options.json().ifPresent(file -> Json.write(file, circumstances, rows));
    options.plot().ifPresent(file -> Plot.write(file, circumstances, rows));
  }

  /** crun is measured where the machine has it. */
  private static List<Subject> installed(List<Path> programs) {
    return Arrays.stream(Subject.values())
        .filter(subject ->
            subject != Subject.CRUN
                || programs.stream()
                    .anyMatch(
                        directory -> Files.isExecutable(directory.resolve(subject.program()))))
        .toList();
  }
}
