package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Images;
import brig.testing.Names;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.cri.PodContainer.Ran;
import brig.testing.kernel.Processes;
import brig.testing.kernel.Terminal;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What people do in a container of a distribution: install, become others, fetch, look around. */
@OneContainerd
class WorkplaceTest extends ProgramTest {

  WorkplaceTest(Containerd containerd) {
    super(containerd);
  }

  private PodContainer debian() {
    return workplace(pod(), "debian");
  }

  @Test
  void aptInstallsPackagesWithTheirOwnersAndBits() {
    PodContainer debian = debian();
    debian.sh("apt-get -qq install -y /srv/packages/*.deb");
    assertThat(debian.sh("stat -c '%a %U:%G' /usr/bin/crontab /var/spool/cron/crontabs"))
        .isEqualTo("2755 root:crontab\n1730 root:crontab");
    assertThat(debian.sh("stat -c '%a %U:%G' /usr/bin/at /var/spool/cron/atjobs"))
        .isEqualTo("6755 daemon:daemon\n1770 daemon:daemon");
    assertThat(
            debian.sh(
                "dpkg --audit; apt-get -qq remove -y cron >/dev/null; dpkg -s cron | grep Status"))
        .startsWith("Status: deinstall ok");
    Wall.holds(debian.proc());
  }

  @Test
  void rootBecomesAnotherUser() {
    PodContainer debian = debian();
    assertThat(debian.sh("su user -c 'id -un; touch ~/made'; stat -c %U /home/user/made"))
        .isEqualTo("user\nuser");
    assertThat(debian.sh("su -l user -c 'echo $HOME'")).isEqualTo("/home/user");
    assertThat(debian.sh("sudo -u user id -un")).isEqualTo("user");
    assertThat(debian.sh("setpriv --reuid user --regid user --init-groups id -un"))
        .isEqualTo("user");
  }

  @Test
  @OnlyBrig
  void noUserBecomesRoot() {
    PodContainer debian = debian();
    Ran sudo =
        debian.exec("setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "sudo", "id");
    assertThat(sudo.status()).isNotZero();
    assertThat(sudo.stderr()).contains("no new privileges");
  }

  @Test
  void pingIsEverybodys() {
    Pod other = pod();
    PodContainer debian = debian();
    String ping = "ping -c 1 -W 5 " + other.address();
    assertThat(debian.sh(ping)).contains("1 received");
    assertThat(debian.sh("su user -c '" + ping + "'")).contains("1 received");
  }

  @Test
  void gitClonesAndTarKeepsOwnersAndAttributes() {
    PodContainer debian = debian();
    debian.sh(
        """
        set -e
        git config --global user.email a@b.c; git config --global user.name A
        git init -q /srv/here; cd /srv/here
        for i in $(seq 200); do echo $i > file$i; done
        git add .; git commit -qm first
        git clone -q /srv/here /srv/there; git -C /srv/there fsck --strict
        """);
    assertThat(debian.sh("ls /srv/there | wc -l")).isEqualTo("200");
    assertThat(
            debian.sh(
                """
                set -e
                mkdir /srv/a /srv/b; cd /srv/a
                echo x > file; chown 1000:50 file; setfattr -n user.colour -v blue file; setfacl -m u:33:r file
                cp /bin/true true; setcap cap_net_bind_service+ep true
                tar --xattrs --xattrs-include='*' --acls -cf ../a.tar .; tar --xattrs --xattrs-include='*' --acls -C /srv/b -xf ../a.tar
                cd /srv/b; stat -c %u:%g file; getfattr --only-values -n user.colour file; echo
                getfacl -cn file | grep 33; getcap true
                """))
        .isEqualTo("1000:50\nblue\nuser:33:r--\ntrue cap_net_bind_service=ep");
  }

  @Test
  void sshLogsInWithATerminal() {
    PodContainer debian = debian();
    assertThat(
            debian.sh(
                """
                set -e
                mkdir -p /run/sshd; ssh-keygen -A > /dev/null; /usr/sbin/sshd
                su user -c 'mkdir -m 700 ~/.ssh; ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id; cp ~/.ssh/id.pub ~/.ssh/authorized_keys'
                su user -c 'ssh -tt -i ~/.ssh/id -o StrictHostKeyChecking=no -o LogLevel=ERROR 127.0.0.1 "id -un; tty"'
                """))
        .matches("user\r?\n/dev/pts/[0-9]+");
    Wall.holds(debian.proc());
  }

  @Test
  void aDebuggerFromExecTracesTheFirstProcess() {
    PodContainer debian = debian();
    assertThat(debian.sh("strace -o /tmp/calls -e trace=write sh -c 'echo traced'; cat /tmp/calls"))
        .contains("write(1, \"traced\\n\", 7)");
    assertThat(debian.sh("gdb -p 1 -batch -ex 'info registers rip' 2>&1")).contains("rip ");
  }

  @Test
  @OnlyBrig
  void whatTheWallKeepsIsRefusedWithAWord() {
    PodContainer debian = debian();
    for (String refused :
        List.of(
            "unshare --user true",
            "unshare --mount true",
            "mount -t tmpfs none /mnt",
            "mount --bind /srv /mnt",
            "umount /proc",
            "iptables -L",
            "ip link add one type dummy",
            "chroot / mount -t proc proc /proc",
            "hostname another",
            "sysctl -w kernel.core_pattern=x")) {
      Ran ran = debian.exec("sh", "-c", refused);
      assertThat(ran.status()).as(refused).isNotZero();
      assertThat(ran.stderr())
          .as(refused)
          .containsPattern("(?i)permitted|permission denied|read-only|must be (superuser|root)");
    }
    Wall.holds(debian.proc());
  }

  @Test
  void aShellOnATerminalHasJobControl() throws InterruptedException {
    containerd.load(Containerd.NAMESPACE, "debian");
    String id = Names.fresh("bash");
    keep(() -> containerd.ctr().remove(id));
    try (Terminal terminal = new Terminal()) {
      Process bash =
          terminal.start(
              containerd
                  .ctr()
                  .line(
                      containerd
                          .ctr()
                          .run(id)
                          .image(Images.of("debian"))
                          .flags("--rm", "--tty", "--env", "PS1=> ")
                          .arguments("bash", "--norc", "-i")),
              containerd.environment());
      terminal.await("> ");
      terminal.type("sleep 98765\n");
      Eventually.holds("sleep runs", () -> !Processes.whoseCommandLineHas("sleep 98765").isEmpty());
      terminal.type("\u001a");
      terminal.await("Stopped");
      terminal.type("bg; jobs\n");
      terminal.await("Running");
      terminal.type("kill %1; wait; fg; exit 5\n");
      terminal.await("no such job");
      assertThat(bash.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(bash.exitValue()).isEqualTo(5);
      assertThat(terminal.seen()).doesNotContain("job control in this shell");
    }
  }
}
