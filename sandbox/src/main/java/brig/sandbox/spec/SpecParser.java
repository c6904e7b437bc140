package brig.sandbox.spec;

import brig.sandbox.BrigException;

/** Reads OCI JSON. Every error names the field's path. */
public final class SpecParser {
  private SpecParser() {}

  /** config.json. */
  public static Spec parse(byte[] json) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** The OCI {@code Process} of an exec. */
  public static ProcessSpec parseProcess(byte[] json) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** The OCI {@code LinuxResources} of an update. */
  public static Resources parseResources(byte[] json) throws BrigException {
    throw new UnsupportedOperationException();
  }
}
