package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.cri.PodContainer;
import brig.testing.proto.cri.ContainerConfig;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Language run times: many processes, many files, code that is made as it runs, limits read. */
@OneContainerd
class LanguagesTest extends ProgramTest {

  private static final long MEMORY = 256L << 20;

  LanguagesTest(Containerd containerd) {
    super(containerd);
  }

  /** With the limits that {@code resources.limits} of a pod become. */
  private static Consumer<ContainerConfig.Builder> limited() {
    return config -> {
      config.addAllCommand(List.of("sleep", "600"));
      config
          .getLinuxBuilder()
          .getResourcesBuilder()
          .setMemoryLimitInBytes(MEMORY)
          .setCpuPeriod(100_000)
          .setCpuQuota(50_000)
          .setCpusetCpus("0");
    };
  }

  @Test
  void pythonSharesWorkAmongProcesses() {
    PodContainer python = workplace(pod(), "python");
    assertThat(
            python
                .exec(
                    "python3",
                    "-c",
                    """
                    import multiprocessing, os, subprocess
                    from multiprocessing import shared_memory

                    def square(n):
                        return n * n, os.getpid()

                    if __name__ == "__main__":
                        with multiprocessing.Pool(4) as pool:
                            results = pool.map(square, range(1000), chunksize=1)
                        print(sum(n for n, _ in results))
                        block = shared_memory.SharedMemory(create=True, size=1 << 20)
                        block.buf[0] = 7
                        same = shared_memory.SharedMemory(name=block.name)
                        print(same.buf[0])
                        same.close()
                        block.close()
                        block.unlink()
                        print(subprocess.run(["sh", "-c", "echo $((6 * 7)); exit 3"], capture_output=True))
                    """)
                .stdout())
        .isEqualTo(
            """
            332833500
            7
            CompletedProcess(args=['sh', '-c', 'echo $((6 * 7)); exit 3'], returncode=3, stdout=b'42\\n', stderr=b'')
            """);
    Wall.holds(python.proc());
  }

  @Test
  void pythonMakesAnEnvironmentOfThousandsOfFiles() {
    PodContainer python = workplace(pod(), "python");
    python.sh("python3 -m venv /opt/venv");
    assertThat(Integer.parseInt(python.sh("find /opt/venv -type f | wc -l"))).isGreaterThan(500);
    assertThat(python.sh("/opt/venv/bin/pip --version")).contains("/opt/venv/lib");
  }

  @Test
  void nodeMakesCodeAndFindsItsLimits() {
    PodContainer node = program(pod(), "node", limited());
    assertThat(
            node.exec(
                    "node",
                    "-e",
                    """
                    const os = require("os"), { Worker } = require("worker_threads");
                    let sum = 0;
                    for (let i = 0; i < 2e7; i++) sum = (sum + i * i) % 1000003;
                    console.log(sum);
                    console.log(process.constrainedMemory(), os.availableParallelism());
                    new Worker("require('worker_threads').parentPort.postMessage('worked')", { eval: true })
                      .on("message", console.log);
                    """)
                .stdout())
        .endsWith("\n" + MEMORY + " 1\nworked\n");
    Wall.holds(node.proc());
  }
}
