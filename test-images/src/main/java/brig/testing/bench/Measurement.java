package brig.testing.bench;

import java.util.List;

/** Something that is measured of all subjects in turn. */
interface Measurement {

  /** What is under way, for the progress line. */
  String title();

  List<Row> measure(Workbench bench, Plan plan);
}
