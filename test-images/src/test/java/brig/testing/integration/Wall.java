package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/** What stands between all processes of a container and the host, whatever program it runs. */
final class Wall {

  /** The first id that can't be one of the host's own users: as the floor has it. */
  private static final long FIRST_ID = 65_536;

  private Wall() {}

  /** Looks at each process of a container's user namespace, from outside. */
  static void holds(Proc init) {
    assertThat(init.sharesWithHost("user")).as("user namespace").isFalse();
    assertThat(init.uidMap()).allMatch(map -> map.outside() >= FIRST_ID);
    assertThat(init.gidMap()).allMatch(map -> map.outside() >= FIRST_ID);
    List<Proc> processes = processes(init);
    assertThat(processes).contains(init);
    long bounds = init.capabilities("CapBnd");
    for (Proc process : processes) {
      try {
        for (String ids : List.of(process.status("Uid"), process.status("Gid"))) {
          for (String id : ids.split("\\s+")) {
            assertThat(Long.parseLong(id)).as("%s", process).isGreaterThanOrEqualTo(FIRST_ID);
          }
        }
        assertThat(process.status("NoNewPrivs")).as("%s", process).isEqualTo("1");
        assertThat(process.status("Seccomp")).as("%s", process).isEqualTo("2");
        for (String set : List.of("CapPrm", "CapEff", "CapBnd")) {
          assertThat(process.capabilities(set) & ~bounds).as("%s %s", set, process).isZero();
        }
      } catch (UncheckedIOException e) {
        // It ended meanwhile.
        assertThat(Processes.alive(process.pid())).isFalse();
      }
    }
  }

  /** All processes in the user namespace of this one. */
  static List<Proc> processes(Proc init) {
    String namespace = init.namespace("user");
    List<Proc> found = new ArrayList<>();
    for (int pid : Processes.all()) {
      Proc process = new Proc(pid);
      try {
        if (process.namespace("user").equals(namespace)) {
          found.add(process);
        }
      } catch (UncheckedIOException e) {
        // It ended meanwhile, or is a zombie without namespaces.
        continue;
      }
    }
    return found;
  }
}
