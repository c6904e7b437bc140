/**
 * Launch planning: from an OCI spec, the host's facts and native's reports on opened sources to a
 * {@code LaunchPlan}. Pure: opens no file, starts nothing, so that every plan can be tested without
 * root.
 */
@NullMarked
package brig.sandbox.plan;

import org.jspecify.annotations.NullMarked;
