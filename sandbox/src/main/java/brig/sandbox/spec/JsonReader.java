package brig.sandbox.spec;

import brig.sandbox.BrigException;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads one JSON document, bounded in size, depth and number of values. Strict: UTF-8 only, no
 * duplicate keys, no NUL characters and no halves of characters in strings (nothing in a
 * container's life can carry one), nothing after the document.
 */
final class JsonReader {
  static final int MAX_BYTES = 4 << 20;

  /** Far more than any container has, and few enough to be held at once by a small heap. */
  static final int MAX_VALUES = 100_000;

  /** Paths in messages are made of names. */
  private static final int MAX_NAME = 4096;

  private static final int MAX_DEPTH = 32;
  private static final int MAX_NUMBER_CHARS = 64;
  // BigDecimal's own arithmetic on 1e1000000000 would take for ever.
  private static final int MAX_SCALE = 40;

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.CHARSET_DETECTION)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxStringLength(MAX_BYTES)
                  .maxNameLength(MAX_NAME)
                  .maxNumberLength(MAX_NUMBER_CHARS)
                  .maxDocumentLength(MAX_BYTES)
                  .build())
          .build();

  /** Brig and containerd pass on what they are given. */
  private static final String REMEDY = "correct it in the client that describes the container";

  private final String document;
  private final JsonParser parser;
  private int values;

  private JsonReader(String document, JsonParser parser) {
    this.document = document;
    this.parser = parser;
  }

  /**
   * @param document name of what is read, for messages
   */
  static Json read(byte[] bytes, String document) throws BrigException {
    if (bytes.length > MAX_BYTES) {
      throw error(document, "", "is " + bytes.length + " bytes, more than " + MAX_BYTES);
    }
    try (JsonParser parser = FACTORY.createParser(bytes)) {
      JsonReader reader = new JsonReader(document, parser);
      JsonToken first = parser.nextToken();
      if (first == null) {
        throw error(document, "", "is empty");
      }
      Json json = reader.value(first, "");
      if (parser.nextToken() != null) {
        throw error(document, "", "has more after its end" + where(parser));
      }
      return json;
    } catch (StreamConstraintsException e) {
      throw error(document, "", "is nested or sized beyond bounds: " + e.getOriginalMessage());
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      throw error(document, "", "is not JSON: " + e.getOriginalMessage() + text(at));
    } catch (IOException e) {
      throw error(document, "", "is not JSON: " + e.getMessage());
    }
  }

  private Json value(JsonToken token, String path) throws IOException, BrigException {
    values++;
    if (values > MAX_VALUES) {
      throw error(document, path, "is beyond the " + MAX_VALUES + " values of a document");
    }
    return switch (token) {
      case START_OBJECT -> object(path);
      case START_ARRAY -> array(path);
      case VALUE_STRING -> new Json.Str(text(parser.getText(), path));
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> number(path);
      case VALUE_TRUE -> new Json.Bool(true);
      case VALUE_FALSE -> new Json.Bool(false);
      case VALUE_NULL -> new Json.Null();
      case FIELD_NAME, END_OBJECT, END_ARRAY, NOT_AVAILABLE, VALUE_EMBEDDED_OBJECT ->
          throw error(document, path, "is not JSON" + where(parser));
    };
  }

  private Json number(String path) throws IOException, BrigException {
    BigDecimal number;
    try {
      number = parser.getDecimalValue();
    } catch (NumberFormatException e) {
      // What the grammar of JSON allows and BigDecimal can't hold: an exponent of many digits.
      throw error(document, path, "is a number out of all bounds");
    }
    if (number.scale() < -MAX_SCALE || number.scale() > MAX_NUMBER_CHARS) {
      throw error(document, path, "is a number out of all bounds");
    }
    return new Json.Num(number);
  }

  private Json object(String path) throws IOException, BrigException {
    Map<String, Json> members = new LinkedHashMap<>();
    for (JsonToken token = next(path); token != JsonToken.END_OBJECT; token = next(path)) {
      String name = text(parser.currentName(), path);
      String memberPath = path.isEmpty() ? name : path + "." + name;
      if (members.containsKey(name)) {
        throw error(document, memberPath, "stands twice" + where(parser));
      }
      members.put(name, value(next(memberPath), memberPath));
    }
    return new Json.Obj(Collections.unmodifiableMap(members));
  }

  private Json array(String path) throws IOException, BrigException {
    List<Json> elements = new ArrayList<>();
    for (JsonToken token = next(path); token != JsonToken.END_ARRAY; token = next(path)) {
      elements.add(value(token, path + "[" + elements.size() + "]"));
    }
    return new Json.Arr(Collections.unmodifiableList(elements));
  }

  private JsonToken next(String path) throws IOException, BrigException {
    return Optional.ofNullable(parser.nextToken())
        .orElseThrow(() -> error(document, path, "ends in the middle"));
  }

  private String text(String text, String path) throws BrigException {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == 0) {
        throw error(document, path, "contains a NUL character" + where(parser));
      }
      if (Character.isSurrogate(c)) {
        // Half of a character has no bytes in UTF-8, and would become another one on its way.
        if (i + 1 == text.length() || !Character.isSurrogatePair(c, text.charAt(i + 1))) {
          throw error(document, path, "contains half a character" + where(parser));
        }
        i++;
      }
    }
    return text;
  }

  private static String where(JsonParser parser) {
    return text(parser.currentTokenLocation());
  }

  private static String text(JsonLocation at) {
    return " (line " + at.getLineNr() + ", column " + at.getColumnNr() + ")";
  }

  static BrigException error(String document, String path, String reason) {
    return new BrigException(
        BrigException.Kind.INVALID_ARGUMENT, "read " + document, path, reason, REMEDY);
  }
}
