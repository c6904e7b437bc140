package brig.shim.task;

/**
 * What a pod is called.
 *
 * @param namespace containerd's
 * @param group id of the container that the pod is named after
 * @param className its runtime class
 */
public record PodName(String namespace, String group, String className) {
  @Override
  public String toString() {
    return namespace + "/" + group;
  }
}
