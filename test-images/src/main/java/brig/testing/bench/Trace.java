package brig.testing.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the time of one container's life goes: launchers and keepers write down what happens when,
 * as long as the run directory has a file {@code trace}. Many lives are run, one after another, and
 * of each step the time since the step before is shown as the least, the middle and the ninth of
 * ten; whoever's turn it was until then stands beside it. Steps of the stage lie within its answer.
 */
final class Trace {

  private static final int WARM_UPS = 40;

  /** {@code took 12 us: check}. */
  private static final Pattern STAGE_STEP = Pattern.compile("took (\\d+) us: (.*)");

  private final Workbench bench;
  private final Map<String, Step> steps = new LinkedHashMap<>();

  /** One line of the table. */
  private record Step(String whose, String what, boolean within, Samples micros) {}

  /** One line of the file. */
  private record Note(long nanos, String whose, String what) {
    static Note parse(String line) {
      String[] parts = line.split(" ", 4);
      if (parts.length != 4) {
        throw new IllegalStateException("read the trace: " + line + ": not a note");
      }
      return new Note(Long.parseLong(parts[0]), parts[2], parts[3]);
    }
  }

  Trace(Workbench bench) {
    this.bench = bench;
  }

  /** Runs so many lives; a table of their steps. */
  String take(int lives) {
    Path file = bench.daemon().run().resolve("trace");
    try {
      for (int i = 0; i < WARM_UPS; i++) {
        bench.run(Subject.BRIG, "true");
      }
      for (int i = 0; i < lives; i++) {
        Files.write(file, new byte[0]);
        long begin = System.nanoTime();
        bench.run(Subject.BRIG, "true");
        long end = System.nanoTime();
        List<Note> notes = new ArrayList<>();
        // The JVM's clock is the kernel's monotonic one, as is that of the notes.
        notes.add(new Note(begin, "bench", "ctr run"));
        Files.readAllLines(file).stream().map(Note::parse).forEach(notes::add);
        notes.add(new Note(end, "ctr", "ended"));
        add(notes);
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return table(lives);
  }

  private void add(List<Note> notes) {
    notes.sort(Comparator.comparingLong(Note::nanos));
    Map<String, Integer> seen = new HashMap<>();
    long last = notes.getFirst().nanos();
    for (Note note : notes) {
      double micros = (note.nanos() - last) / 1e3;
      last = note.nanos();
      Matcher within = STAGE_STEP.matcher(note.what());
      boolean isWithin = within.matches();
      String what = isWithin ? within.group(2) : note.what();
      String key = note.whose() + " " + what;
      int number = seen.merge(key, 1, Integer::sum);
      steps
          .computeIfAbsent(
              key + " " + number, absent -> new Step(note.whose(), what, isWithin, new Samples()))
          .micros()
          .add(isWithin ? Double.parseDouble(within.group(1)) : micros);
    }
  }

  private String table(int lives) {
    StringBuilder text = new StringBuilder();
    line(text, "least", "middle", "9 of 10", "whose time", "until");
    Map<String, Double> sums = new LinkedHashMap<>();
    for (Step step : steps.values()) {
      // What only few lives have is not part of a life.
      if (step.micros().count() * 2 < lives) {
        continue;
      }
      double middle = step.micros().median();
      line(
          text,
          micros(step.micros().quantile(0)),
          micros(middle),
          micros(step.micros().quantile(0.9)),
          step.whose(),
          (step.within() ? "  of which " : "") + step.what());
      if (!step.within()) {
        sums.merge(step.whose(), middle, Double::sum);
      }
    }
    text.append(String.format(Locale.ROOT, "%nmiddles of %d lives, microseconds:%n", lives));
    sums.forEach((whose, sum) -> line(text, "", micros(sum), "", whose, ""));
    return text.toString();
  }

  private static String micros(double value) {
    return String.format(Locale.ROOT, "%.0f", value);
  }

  private static void line(StringBuilder text, String... cells) {
    text.append(String.format("%8s %8s %8s  %-10s  %s", (Object[]) cells).stripTrailing() + "\n");
  }
}
