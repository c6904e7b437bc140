package brig.shim.daemon;

import brig.proto.keeper.ContainerRecord;
import brig.proto.keeper.PodRecord;
import brig.proto.keeper.ProcessRecord;
import brig.proto.keeper.StuckStage;
import brig.shim.log.Log;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * What keepers have written about their pods, beneath the run directory. Only looked at when a
 * keeper isn't there to be asked.
 */
final class PodRecords {
  private static final String RECORD = "record";

  private final Path directory;
  private final Log log;
  private final Set<Path> told = ConcurrentHashMap.newKeySet();

  PodRecords(Path run, Log log) {
    this.directory = run.resolve("pods");
    this.log = log;
  }

  /**
   * Those of the instances whose keeper, or a process that it recorded, is alive; a stage that
   * hangs in the kernel counts. A record that can't be read might be anybody's, so then it's all.
   */
  Set<String> alive(Set<String> instances) {
    List<Path> unread = new ArrayList<>();
    Set<String> alive =
        readable(unread::add).stream()
            .filter(record -> instances.contains(record.getHello().getInstance()))
            .filter(PodRecords::isAlive)
            .map(record -> record.getHello().getInstance())
            .collect(Collectors.toSet());
    return unread.isEmpty() ? alive : instances;
  }

  private static boolean isAlive(PodRecord record) {
    if (Processes.isAlive(record.getHello().getPid(), record.getKeeperStartTime())) {
      return true;
    }
    for (StuckStage stage : record.getHello().getStuckStagesList()) {
      if (Processes.isAlive(stage.getPid(), stage.getStartTime())) {
        return true;
      }
    }
    for (ContainerRecord container : record.getHello().getContainersList()) {
      for (ProcessRecord process : container.getProcessesList()) {
        if (Processes.isAlive(process.getPid(), process.getStartTime())) {
          return true;
        }
      }
    }
    return false;
  }

  /**
   * Removes the records of keepers that are gone and left no container: they stood for a stage that
   * hung. One with containers is the launcher's {@code delete}'s to remove.
   */
  void removeVacant(Set<String> instances) {
    for (Path pod : pods(unread -> {})) {
      try {
        Optional<PodRecord> record = read(pod);
        if (record.isPresent()
            && instances.contains(record.get().getHello().getInstance())
            && record.get().getHello().getContainersCount() == 0) {
          Files.delete(pod.resolve(RECORD));
          Files.delete(pod);
        }
      } catch (IOException e) {
        log.warn("record of a pod that is gone not removed: " + e.getMessage());
      }
    }
  }

  /** Those that can be read. */
  List<PodRecord> all() {
    return readable(unread -> {});
  }

  private List<PodRecord> readable(Consumer<Path> unread) {
    List<PodRecord> records = new ArrayList<>();
    for (Path pod : pods(unread)) {
      try {
        read(pod).ifPresent(records::add);
      } catch (IOException e) {
        tell(pod, e);
        unread.accept(pod);
      }
    }
    return records;
  }

  /** Their directories. */
  private List<Path> pods(Consumer<Path> unread) {
    List<Path> all = new ArrayList<>();
    try (DirectoryStream<Path> pods = Files.newDirectoryStream(directory)) {
      pods.forEach(all::add);
    } catch (NoSuchFileException e) {
      // There has been no pod yet.
    } catch (IOException | DirectoryIteratorException e) {
      tell(directory, e);
      unread.accept(directory);
    }
    return all;
  }

  /** Empty where its keeper has ended meanwhile. */
  private static Optional<PodRecord> read(Path pod) throws IOException {
    try {
      return Optional.of(PodRecord.parseFrom(Seal.open(Files.readAllBytes(pod.resolve(RECORD)))));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  /** Once for each, since it is looked at again and again. */
  private void tell(Path place, Exception why) {
    if (told.add(place)) {
      log.warn(
          "read the record of a pod: "
              + place
              + ": "
              + why.getMessage()
              + "; while it is there, no ids of pods that were lost become free: remove it when nothing"
              + " of its pod lives");
    }
  }
}
