package brig.shim.task;

import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Scope;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.plan.PlannedContainer;
import brig.sandbox.spec.Resources;
import brig.sandbox.systemd.ScopeName;
import brig.sandbox.systemd.Scopes;
import brig.sandbox.systemd.UnitProperty;
import brig.shim.rpc.Exchange;
import java.util.List;

/**
 * The scopes of the containers that have one. They are systemd's, not the keeper's, so these are no
 * steps: each call may be made again by a daemon that replays the request, and then finds done what
 * was done.
 */
final class ScopeKeeping {
  private final Scopes scopes;

  ScopeKeeping(Scopes scopes) {
    this.scopes = scopes;
  }

  /** The plan, with what tells its scope from any other of the same name. */
  static PlannedContainer owned(PlannedContainer planned, Pod pod, Exchange exchange) {
    LaunchPlan.Builder plan = planned.plan().toBuilder();
    // Shown by systemd as the description. The same for each run of one request, and for it alone.
    plan.getCreateBuilder()
        .getCgroupsBuilder()
        .getScopeBuilder()
        .setOwner(
            "Brig container %s of %s (keeper %s, request %d)"
                .formatted(plan.getContainerId(), pod.namespace(), pod.instance(), exchange.seq()));
    return planned.withPlan(plan.build());
  }

  /**
   * Makes the scope of a container that is being created.
   *
   * @param placeholder the process that stands in it until the container's init does
   */
  void start(Pod pod, Scope scope, Resources resources, int placeholder) throws BrigException {
    if (placeholder == 0) {
      throw new BrigException(
          Kind.FAILED_PRECONDITION,
          "start scope",
          scope.getUnit(),
          "the pod's keeper is of an older version, which can't take part in it",
          "start the pod anew");
    }
    scopes.start(
        new ScopeName(scope.getUnit(), scope.getSlice()),
        scope.getOwner(),
        placeholder,
        pod.planner().scopeProperties(resources));
  }

  /** Changes limits, where the container has a scope. */
  void update(ContainerState state, List<UnitProperty> limits) throws BrigException {
    if (hasScope(state)) {
      scopes.update(scope(state).getUnit(), limits);
    }
  }

  static boolean hasScope(ContainerState state) {
    return state.facts().plan().getCreate().getCgroups().hasScope();
  }

  private static Scope scope(ContainerState state) {
    return state.facts().plan().getCreate().getCgroups().getScope();
  }

  /** Ends the container's scope, where it has one, after its processes have gone. */
  void end(Pod pod, ContainerState state) {
    if (hasScope(state)) {
      end(pod, state.id(), scope(state));
    }
  }

  /**
   * Ends a scope whose processes have gone. systemd also does that by itself, later, so a failure
   * is no reason to keep the container.
   */
  void end(Pod pod, String id, Scope scope) {
    try {
      scopes.stop(scope.getUnit(), scope.getOwner());
    } catch (BrigException e) {
      pod.log().with("container", id).warn(String.valueOf(e.getMessage()));
    }
  }
}
