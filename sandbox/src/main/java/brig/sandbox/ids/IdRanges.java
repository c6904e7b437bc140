package brig.sandbox.ids;

import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.plan.IdRange;
import java.nio.file.Path;
import java.util.List;

/**
 * The table of id ranges in use, kept in a file beneath the run directory. Safe for use by many
 * threads.
 */
public final class IdRanges {
  private IdRanges() {}

  /**
   * @param stateFile the table; need not exist
   * @param foreign lines of /etc/subuid and /etc/subgid
   */
  public static IdRanges load(Path stateFile, SandboxConfig.Ids ids, List<SubIds> foreign)
      throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** What was wrong with the file at load, and what of the pool can't be used; for the log. */
  public List<String> warnings() {
    throw new UnsupportedOperationException();
  }

  /** A range of the pod's own; the same one each time until {@link #release}. */
  public synchronized IdRange allocate(String podKey) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** Nothing of the pod lives any more. Unknown keys are ignored. */
  public synchronized void release(String podKey) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /**
   * Notes host ids that a spec or a living pod brings, so that no pod gets them.
   *
   * @throws BrigException where another pod has some of them
   */
  public synchronized void book(String podKey, List<IdMap> uidMaps, List<IdMap> gidMaps)
      throws BrigException {
    throw new UnsupportedOperationException();
  }
}
