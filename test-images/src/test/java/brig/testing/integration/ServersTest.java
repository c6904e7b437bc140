package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Http;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Servers that everybody runs, from their images as they are, used over the pods' network. */
@OneContainerd
class ServersTest extends ProgramTest {

  ServersTest(Containerd containerd) {
    super(containerd);
  }

  private static Set<Integer> processesOf(PodContainer container, long uid) {
    return Wall.processes(container.proc()).stream()
        .filter(process -> process.status("Uid").startsWith(Long.toString(uid)))
        .map(Proc::pid)
        .collect(Collectors.toSet());
  }

  private static void awaitLog(PodContainer container, Predicate<String> line) {
    Eventually.holds(
        "the log has it",
        () -> container.log().stream().anyMatch(logged -> line.test(logged.text())),
        container::log);
  }

  @Test
  void nginxServesPort80ReloadsAndLogsToItsOutput() {
    Pod pod = pod();
    PodContainer nginx = program(pod, "nginx");
    Eventually.holds(
        "it listens on port 80 (50 in hexadecimal)",
        () -> nginx.sh("cat /proc/net/tcp").contains(":0050 "),
        nginx::log);
    assertThat(Http.get(pod.address())).isEqualTo("a page of nginx\n");
    awaitLog(nginx, line -> line.contains("\"GET / HTTP/1.1\" 200"));

    long workersId = outside(nginx, idOf(nginx, "www-data"));
    Set<Integer> workers = processesOf(nginx, workersId);
    assertThat(workers).isNotEmpty();
    Wall.holds(nginx.proc());

    nginx.sh("echo 'another page' > /var/www/html/index.html; kill -HUP 1");
    Eventually.holds(
        "workers are replaced",
        () -> {
          Set<Integer> now = processesOf(nginx, workersId);
          return !now.isEmpty() && now.stream().noneMatch(workers::contains);
        });
    assertThat(Http.get(pod.address())).isEqualTo("another page\n");

    nginx.stop(30);
    // By the image's own signal, at which it finishes its work.
    assertThat(nginx.ended().getExitCode()).isZero();
  }

  @Test
  void redisKeepsItsDataInAVolumeUnderItsOwnUser() throws IOException {
    Path volume = volume("rwxr-xr-x");
    Pod pod = pod();
    PodContainer redis = program(pod, "redis", config -> config.addMounts(at("/data", volume)));
    awaitLog(redis, line -> line.contains("Ready to accept connections"));
    PodContainer client = workplace(pod(), "redis");
    String cli = "redis-cli -h " + pod.address() + " ";
    assertThat(client.sh(cli + "set kept value; " + cli + "save")).isEqualTo("OK\nOK");

    long user = idOf(redis, "redis");
    assertThat(redis.proc().status("Uid")).startsWith(Long.toString(outside(redis, user)));
    assertThat(redis.proc().capabilities("CapEff")).isZero();
    assertThat(Files.getAttribute(volume, "unix:uid")).isEqualTo((int) user);
    assertThat(Files.getAttribute(volume.resolve("dump.rdb"), "unix:uid")).isEqualTo((int) user);
    Wall.holds(redis.proc());

    redis.stop(30);
    assertThat(redis.ended().getExitCode()).isZero();
    PodContainer again = program(pod, "redis", config -> config.addMounts(at("/data", volume)));
    awaitLog(again, line -> line.contains("Ready to accept connections"));
    assertThat(client.sh(cli + "get kept")).isEqualTo("value");
  }

  @Test
  void postgresMakesItsClusterInAVolumeAndSurvivesAKill() throws IOException {
    Path volume = volume("rwxr-xr-x");
    Pod pod = pod();
    PodContainer postgres = postgres(pod, volume);
    PodContainer client = workplace(pod(), "postgres");
    String psql = "psql -h " + pod.address() + " -U postgres -Atc ";
    client.sh(psql + "'create table t as select generate_series(1, 1000) as n'");
    // In parallel, by memory that the workers share.
    assertThat(
            client.sh(
                psql
                    + "'set debug_parallel_query = on; set max_parallel_workers_per_gather = 2;"
                    + " select sum(n) from t'"))
        .endsWith("500500");
    assertThat(postgres.sh("ls /dev/shm")).contains("PostgreSQL.");

    long user = idOf(postgres, "postgres");
    assertThat(postgres.proc().status("Uid")).startsWith(Long.toString(outside(postgres, user)));
    assertThat(Files.getAttribute(volume, "unix:uid")).isEqualTo((int) user);
    assertThat(Files.getPosixFilePermissions(volume)).hasSize(3);
    Wall.holds(postgres.proc());

    postgres.stop(0);
    assertThat(postgres.ended().getExitCode()).isEqualTo(137);
    postgres(pod, volume);
    assertThat(client.sh(psql + "'select count(*) from t'")).isEqualTo("1000");
  }

  private PodContainer postgres(Pod pod, Path volume) {
    PodContainer postgres =
        program(
            pod, "postgres", config -> config.addMounts(at("/var/lib/postgresql/data", volume)));
    awaitLog(postgres, line -> line.endsWith("database system is ready to accept connections"));
    return postgres;
  }
}
