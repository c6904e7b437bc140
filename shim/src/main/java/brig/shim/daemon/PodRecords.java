package brig.shim.daemon;

import brig.proto.keeper.ContainerRecord;
import brig.proto.keeper.PodRecord;
import brig.proto.keeper.ProcessRecord;
import brig.proto.keeper.StuckStage;
import brig.shim.log.Log;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What keepers have written about their pods, beneath the run directory. Only looked at when a
 * keeper isn't there to be asked.
 */
final class PodRecords {
  private final Path directory;
  private final Log log;

  PodRecords(Path run, Log log) {
    this.directory = run.resolve("pods");
    this.log = log;
  }

  /**
   * Whether the keeper of this instance, or a process that it recorded, is alive; a stage that
   * hangs in the kernel counts. A record that can't be read might be its record, and says yes.
   */
  boolean isAlive(String instance) {
    try {
      for (PodRecord record : all()) {
        if (record.getHello().getInstance().equals(instance) && isAlive(record)) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      log.warn("records of pods can't be read: " + e.getMessage());
      return true;
    }
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
   * Removes the record of a keeper that is gone and left no container: it stood for a stage that
   * hung. One with containers is the launcher's {@code delete}'s to remove.
   */
  void removeVacant(String instance) {
    if (!Files.isDirectory(directory)) {
      return;
    }
    try (DirectoryStream<Path> pods = Files.newDirectoryStream(directory)) {
      for (Path pod : pods) {
        Path file = pod.resolve("record");
        if (Files.exists(file)) {
          PodRecord record = PodRecord.parseFrom(Files.readAllBytes(file));
          if (record.getHello().getInstance().equals(instance)
              && record.getHello().getContainersCount() == 0) {
            Files.delete(file);
            Files.delete(pod);
          }
        }
      }
    } catch (IOException e) {
      log.warn("record of a pod that is gone not removed: " + e.getMessage());
    }
  }

  /** Those that can be parsed; one that vanishes meanwhile is no record. */
  List<PodRecord> all() throws IOException {
    List<PodRecord> records = new ArrayList<>();
    if (!Files.isDirectory(directory)) {
      return records;
    }
    try (DirectoryStream<Path> pods = Files.newDirectoryStream(directory)) {
      for (Path pod : pods) {
        try (InputStream in = Files.newInputStream(pod.resolve("record"))) {
          records.add(PodRecord.parseFrom(in));
        } catch (NoSuchFileException e) {
          // Its keeper has ended.
        }
      }
    }
    return records;
  }
}
