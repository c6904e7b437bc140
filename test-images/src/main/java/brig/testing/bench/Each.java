package brig.testing.bench;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;

/** One thing for each subject that is measured. */
final class Each<T> {

  private final Map<Subject, T> things = new EnumMap<>(Subject.class);

  Each(List<Subject> subjects, Function<Subject, T> maker) {
    for (Subject subject : subjects) {
      things.put(subject, maker.apply(subject));
    }
  }

  T of(Subject subject) {
    T thing = things.get(subject);
    if (thing == null) {
      throw new IllegalArgumentException(subject + " is not measured");
    }
    return thing;
  }

  void forEach(Consumer<T> action) {
    things.values().forEach(action);
  }
}
