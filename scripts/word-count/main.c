/*
 * A command script: arguments as JSON on standard input, log on standard error, result as JSON on standard output.
 *
 * Counts the words, lines and bytes of the argument "text".
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Input that is being read; `end` is one past its last byte. */
struct input {
    const char *at;
    const char *end;
};

static void fail(const char *message) {
    fprintf(stderr, "%s\n", message);
    exit(2);
}

static char *read_all(size_t *length) {
    size_t room = 4096;
    char *bytes = malloc(room);
    *length = 0;
    while (bytes != NULL) {
        size_t count = fread(bytes + *length, 1, room - *length, stdin);
        *length += count;
        if (count == 0) {
            return bytes;
        }
        if (*length == room) {
            char *larger = realloc(bytes, room *= 2);
            if (larger == NULL) {
                break;
            }
            bytes = larger;
        }
    }
    fail("the arguments do not fit into memory");
    return NULL;
}

static void skip_space(struct input *input) {
    while (input->at < input->end && strchr(" \t\r\n", *input->at) != NULL && *input->at != '\0') {
        input->at++;
    }
}

static bool next_is(struct input *input, char expected) {
    skip_space(input);
    if (input->at == input->end || *input->at != expected) {
        return false;
    }
    input->at++;
    return true;
}

static unsigned hex4(struct input *input) {
    unsigned code = 0;
    for (int digit = 0; digit < 4; digit++) {
        if (input->at == input->end || !isxdigit((unsigned char)*input->at)) {
            fail("the arguments are not JSON: bad \\u in a string");
        }
        char c = *input->at++;
        code = code * 16 + (unsigned)(isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10);
    }
    return code;
}

static char *put_utf8(char *out, unsigned code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Reads a string whose opening quote has been read. Its text is never longer than its JSON, which is where room comes from. */
static char *read_string(struct input *input, size_t *length) {
    char *text = malloc((size_t)(input->end - input->at) + 1);
    if (text == NULL) {
        fail("the arguments do not fit into memory");
    }
    char *out = text;
    while (input->at < input->end && *input->at != '"') {
        char c = *input->at++;
        if (c != '\\') {
            *out++ = c;
            continue;
        }
        if (input->at == input->end) {
            break;
        }
        c = *input->at++;
        switch (c) {
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'n': *out++ = '\n'; break;
        case 'r': *out++ = '\r'; break;
        case 't': *out++ = '\t'; break;
        case 'u': {
            unsigned code = hex4(input);
            /* A character outside the basic plane comes as two halves. */
            if (code >= 0xd800 && code < 0xdc00 && input->end - input->at >= 2 && input->at[0] == '\\' && input->at[1] == 'u') {
                input->at += 2;
                code = 0x10000 + ((code - 0xd800) << 10) + (hex4(input) - 0xdc00);
            }
            out = put_utf8(out, code);
            break;
        }
        default: *out++ = c;
        }
    }
    if (!next_is(input, '"')) {
        fail("the arguments are not JSON: a string without an end");
    }
    *length = (size_t)(out - text);
    *out = '\0';
    return text;
}

/* Reads over a value of any kind. The host sends only valid JSON, so it is enough to match brackets. */
static void skip_value(struct input *input) {
    int depth = 0;
    do {
        skip_space(input);
        if (input->at == input->end) {
            fail("the arguments are not JSON: they end too early");
        }
        char c = *input->at++;
        if (c == '"') {
            size_t length;
            free(read_string(input, &length));
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (depth == 0) {
            while (input->at < input->end && strchr(",}] \t\r\n", *input->at) == NULL) {
                input->at++;
            }
        }
    } while (depth > 0);
}

/* The string under `name` in the object, or NULL. */
static char *find_string(struct input input, const char *name, size_t *length) {
    if (!next_is(&input, '{')) {
        fail("the arguments are not a JSON object");
    }
    char *found = NULL;
    while (next_is(&input, '"')) {
        size_t key_length;
        char *key = read_string(&input, &key_length);
        bool wanted = strcmp(key, name) == 0;
        free(key);
        if (!next_is(&input, ':')) {
            fail("the arguments are not JSON: a key without a value");
        }
        if (wanted && next_is(&input, '"')) {
            free(found);
            found = read_string(&input, length);
        } else {
            skip_value(&input);
        }
        if (!next_is(&input, ',')) {
            break;
        }
    }
    return found;
}

int main(void) {
    size_t size;
    char *arguments = read_all(&size);
    size_t length = 0;
    char *text = find_string((struct input){arguments, arguments + size}, "text", &length);
    if (text == NULL) {
        fail("the argument \"text\" is missing; expected a string");
    }

    fprintf(stderr, "counting %zu bytes\n", length);
    size_t words = 0, lines = 0;
    bool inside = false;
    for (size_t at = 0; at < length; at++) {
        bool space = isspace((unsigned char)text[at]) != 0;
        words += !space && !inside;
        lines += text[at] == '\n';
        inside = !space;
    }
    /* A last line counts also without a line break after it. */
    lines += length > 0 && text[length - 1] != '\n';
    fprintf(stderr, "found %zu words\n", words);

    printf("{\"words\":%zu,\"lines\":%zu,\"bytes\":%zu}\n", words, lines, length);
    return 0;
}
