/**
 * What the daemon counts and measures, as OpenMetrics and Prometheus' text formats have it.
 *
 * <p>The number of time series is fixed by the program: no label has a value that a client, a pod
 * or an operator chooses.
 */
@NullMarked
package brig.shim.metrics;

import org.jspecify.annotations.NullMarked;
