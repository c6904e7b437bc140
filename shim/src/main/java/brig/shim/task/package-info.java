/**
 * containerd's task service: what each of its methods does to a container, and what it answers.
 *
 * <p>Each container has one serial queue; all that changes it goes through there, in the order in
 * which the keeper numbered the requests. State, Connect, Pids, Wait and Stats never queue. A
 * change is made when its Reply is sent, so that what the daemon believes is what the keeper keeps.
 */
@NullMarked
package brig.shim.task;

import org.jspecify.annotations.NullMarked;
