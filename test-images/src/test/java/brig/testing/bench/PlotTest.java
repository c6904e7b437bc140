package brig.testing.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

final class PlotTest {

  private static Row row(String key, Map<Subject, Double> values) {
    return new Row(key, "t", "ms", Row.Kind.COST, 1, values);
  }

  private static Document parse(String svg) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)));
  }

  private static List<double[]> points(Element curve) {
    return Arrays.stream(curve.getAttribute("points").split(" "))
        .map(point -> Arrays.stream(point.split(",")).mapToDouble(Double::parseDouble).toArray())
        .toList();
  }

  @Test
  void eachSubjectHasALineAndWhatDoesNotGrowIsFlat() throws Exception {
    Document picture =
        parse(
            Plot.draw(
                "now & <here>",
                List.of(
                    row(Growth.RUN + 1, Map.of(Subject.BRIG, 30.0, Subject.NULL, 20.0)),
                    row(Growth.RUN + 100, Map.of(Subject.BRIG, 30.0, Subject.NULL, 40.0)),
                    row(Growth.RUN + 10, Map.of(Subject.BRIG, 30.0, Subject.NULL, 30.0)),
                    row("other", Map.of(Subject.BRIG, 1e9)))));
    NodeList curves = picture.getElementsByTagName("polyline");
    assertThat(curves.getLength()).isEqualTo(2);
    List<double[]> brig = points((Element) curves.item(0));
    assertThat(brig).hasSize(3).allSatisfy(point -> assertThat(point[1]).isEqualTo(brig.get(0)[1]));
    // Evenly apart, since the axis is logarithmic.
    assertThat(brig.get(2)[0] - brig.get(1)[0]).isEqualTo(brig.get(1)[0] - brig.get(0)[0]);
    List<double[]> nothing = points((Element) curves.item(1));
    // Upwards is less in a picture.
    assertThat(nothing)
        .extracting(point -> point[1])
        .isSortedAccordingTo((a, b) -> Double.compare(b, a));
  }

  @Test
  void whatWasNotMeasuredIsSaid() throws Exception {
    Document picture = parse(Plot.draw("", List.of()));
    assertThat(picture.getElementsByTagName("polyline").getLength()).isZero();
    assertThat(picture.getDocumentElement().getTextContent()).contains("not measured");
  }

  @Test
  void ticksAreRound() {
    assertThat(Plot.roundStep(0.9)).isEqualTo(1);
    assertThat(Plot.roundStep(11)).isEqualTo(20);
    assertThat(Plot.roundStep(300)).isEqualTo(500);
    assertThat(Plot.roundStep(6000)).isEqualTo(10000);
  }
}
