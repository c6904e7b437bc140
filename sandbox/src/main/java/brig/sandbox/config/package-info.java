/** Reading of brig.toml into a {@link brig.sandbox.SandboxConfig}. */
@NullMarked
package brig.sandbox.config;

import org.jspecify.annotations.NullMarked;
