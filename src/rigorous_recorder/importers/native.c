/* The native backend of event_frames.py: frames of TensorBoard's event files, most of which are one
   scalar, as columns. Whatever else there is, it gives the place of, and Python reads. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- checksums -------------------------------------------------------------------------------- */

static uint32_t table[8][256];

static void
make_table(void)
{
    for (int i = 0; i < 256; i++) {
        uint32_t c = (uint32_t)i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0x82F63B78u ^ (c >> 1) : c >> 1;
        table[0][i] = c;
    }
    for (int i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = table[0][table[k - 1][i] & 255] ^ (table[k - 1][i] >> 8);
}

static uint32_t
u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t
u64(const uint8_t *at)
{
    return (uint64_t)u32(at) | (uint64_t)u32(at + 4) << 32;
}

static double
f64(const uint8_t *at)
{
    uint64_t bits = u64(at);
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static double
f32(const uint8_t *at)
{
    uint32_t bits = u32(at);
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static uint32_t
masked_crc(const uint8_t *at, size_t size)
{
    uint32_t c = 0xFFFFFFFFu;
    for (; size >= 8; size -= 8, at += 8) {
        uint32_t low = u32(at) ^ c, high = u32(at + 4);
        c = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255]
            ^ table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255]
            ^ table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; size > 0; size--, at++)
        c = table[0][(c ^ *at) & 255] ^ (c >> 8);
    c ^= 0xFFFFFFFFu;
    return ((c >> 15) | (c << 17)) + 0xA282EAD8u;
}

/* ---- messages --------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} Span;

typedef struct {
    uint64_t number; /* of a varint */
    Span bytes;      /* of everything else */
    int field, wire;
} Field;

static int
varint(Span *span, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 70 && span->at < span->end; shift += 7) {
        uint8_t byte = *span->at++;
        *value |= shift < 64 ? (uint64_t)(byte & 127) << shift : 0;
        if (byte < 128)
            return 1;
    }
    return 0;
}

/* 1 for the next field, 0 at the end, -1 if it is no message. */
static int
next_field(Span *span, Field *field)
{
    uint64_t tag, size;
    if (span->at >= span->end)
        return 0;
    if (!varint(span, &tag) || tag >> 3 > 0x1FFFFFFF)
        return -1;
    field->field = (int)(tag >> 3);
    field->wire = (int)(tag & 7);
    switch (field->wire) {
    case 0:
        return varint(span, &field->number) ? 1 : -1;
    case 1:
        size = 8;
        break;
    case 2:
        if (!varint(span, &size))
            return -1;
        break;
    case 5:
        size = 4;
        break;
    default:
        return -1;
    }
    if (size > (uint64_t)(span->end - span->at))
        return -1;
    field->bytes = (Span){span->at, span->at + size};
    span->at += size;
    return 1;
}

/* ---- one scalar ------------------------------------------------------------------------------- */

typedef struct {
    double wall, value;
    int64_t step;
    Span tag;
} Scalar;

static size_t
size_of(Span span)
{
    return (size_t)(span.end - span.at);
}

/* Whether the plugin is that of scalars, or not named. */
static int
is_of_scalars(Span metadata)
{
    Field field;
    int more;
    while ((more = next_field(&metadata, &field)) > 0) {
        if (field.field != 1 || field.wire != 2)
            continue;
        Field inner;
        Span plugin = field.bytes;
        while ((more = next_field(&plugin, &inner)) > 0)
            if (inner.field == 1 && inner.wire == 2
                && (size_of(inner.bytes) != 7 || memcmp(inner.bytes.at, "scalars", 7) != 0))
                return 0;
        if (more < 0)
            return 0;
    }
    return more == 0;
}

/* Whether the tensor is one float32 or float64 without a shape. */
static int
number_of_tensor(Span tensor, double *value)
{
    Field field;
    int more, values = 0;
    uint64_t dtype = 0;
    Span found = {NULL, NULL};
    while ((more = next_field(&tensor, &field)) > 0) {
        if (field.field == 1 && field.wire == 0) {
            dtype = field.number;
        } else if (field.field == 2 && field.wire == 2 && size_of(field.bytes) == 0) {
            continue;
        } else if (field.field >= 4 && field.field <= 6 && field.wire != 0) {
            found = field.bytes;
            values++;
        } else {
            return 0;
        }
    }
    if (more < 0 || values != 1)
        return 0;
    if (dtype == 1 && size_of(found) == 4)
        *value = f32(found.at);
    else if (dtype == 2 && size_of(found) == 8)
        *value = f64(found.at);
    else
        return 0;
    return 1;
}

static int
scalar_of_value(Span value, Scalar *scalar)
{
    Field field;
    int more, values = 0, is_tensor = 0, is_scalar = 1;
    while ((more = next_field(&value, &field)) > 0) {
        if (field.field == 1 && field.wire == 2) {
            scalar->tag = field.bytes;
        } else if (field.field == 2 && field.wire == 5) {
            scalar->value = f32(field.bytes.at);
            values++;
        } else if (field.field == 8 && field.wire == 2) {
            if (!number_of_tensor(field.bytes, &scalar->value))
                return 0;
            is_tensor = 1;
            values++;
        } else if (field.field == 9 && field.wire == 2) {
            is_scalar = is_of_scalars(field.bytes);
        } else if (field.field != 7 || field.wire != 2) {
            return 0;
        }
    }
    return more == 0 && values == 1 && scalar->tag.at != NULL && (is_scalar || !is_tensor);
}

static int
scalar_of_event(Span event, Scalar *scalar)
{
    Field field;
    int more, summaries = 0;
    *scalar = (Scalar){0};
    while ((more = next_field(&event, &field)) > 0) {
        if (field.field == 1 && field.wire == 1) {
            scalar->wall = f64(field.bytes.at);
        } else if (field.field == 2 && field.wire == 0) {
            scalar->step = (int64_t)field.number;
        } else if (field.field == 5 && field.wire == 2) {
            Field value;
            Span summary = field.bytes;
            if (summaries++ || next_field(&summary, &value) <= 0 || value.field != 1
                || value.wire != 2 || summary.at != summary.end
                || !scalar_of_value(value.bytes, scalar))
                return 0;
        } else {
            return 0;
        }
    }
    return more == 0 && summaries == 1;
}

/* ---- tags ------------------------------------------------------------------------------------- */

typedef struct {
    Span *tags;
    uint32_t *slots; /* place of a tag plus one */
    uint32_t count, room, mask;
} Tags;

static uint32_t
hash_of(Span tag)
{
    uint32_t hash = 2166136261u;
    for (const uint8_t *at = tag.at; at < tag.end; at++)
        hash = (hash ^ *at) * 16777619u;
    return hash;
}

static int
grow_tags(Tags *tags)
{
    uint32_t room = tags->room ? tags->room * 2 : 64, mask = room * 4 - 1;
    Span *more = realloc(tags->tags, room * sizeof(Span));
    if (more == NULL)
        return 0;
    tags->tags = more;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof(uint32_t));
    if (slots == NULL)
        return 0;
    for (uint32_t i = 0; i < tags->count; i++) {
        uint32_t slot = hash_of(more[i]) & mask;
        while (slots[slot])
            slot = (slot + 1) & mask;
        slots[slot] = i + 1;
    }
    free(tags->slots);
    tags->slots = slots;
    tags->room = room;
    tags->mask = mask;
    return 1;
}

/* The place of a tag, from 0 on; -1 without memory. */
static int64_t
place_of(Tags *tags, Span tag)
{
    if (tags->count == tags->room && !grow_tags(tags))
        return -1;
    uint32_t slot = hash_of(tag) & tags->mask;
    for (; tags->slots[slot]; slot = (slot + 1) & tags->mask) {
        Span known = tags->tags[tags->slots[slot] - 1];
        if (size_of(known) == size_of(tag) && memcmp(known.at, tag.at, size_of(tag)) == 0)
            return tags->slots[slot] - 1;
    }
    tags->tags[tags->count] = tag;
    tags->slots[slot] = ++tags->count;
    return tags->count - 1;
}

/* ---- blocks ----------------------------------------------------------------------------------- */

#define HEADER 12
#define FOOTER 4
/* Bytes of the smallest frame: there are never more frames than this allows. */
#define SMALLEST (HEADER + FOOTER)
/* The times of the years 1 and 10000, and a time that is none. */
#define FIRST_TIME -62135596800.0
#define LAST_TIME 253402300799.0
#define NO_TIME INT64_MIN

typedef struct {
    int64_t *steps, *times;
    double *values;
    int32_t *places;
    Py_ssize_t count;
} Columns;

/* Rounded once: the product with a million of a whole time would be rounded before. */
static int64_t
microseconds(double wall)
{
    double whole = trunc(wall);
    return (int64_t)whole * 1000000 + llrint((wall - whole) * 1e6);
}

static int
add_scalar(Columns *columns, Tags *tags, const Scalar *scalar)
{
    int64_t place = place_of(tags, scalar->tag);
    if (place < 0)
        return 0;
    Py_ssize_t row = columns->count++;
    int is_time = scalar->wall >= FIRST_TIME && scalar->wall <= LAST_TIME;
    columns->steps[row] = scalar->step;
    columns->times[row] = is_time ? microseconds(scalar->wall) : NO_TIME;
    columns->values[row] = scalar->value;
    columns->places[row] = (int32_t)place;
    return 1;
}

static int
append_other(PyObject *others, Py_ssize_t row, Py_ssize_t at, Py_ssize_t size, int is_bad)
{
    PyObject *item = Py_BuildValue("(nnni)", row, at, size, is_bad);
    int result = item == NULL ? -1 : PyList_Append(others, item);
    Py_XDECREF(item);
    return result;
}

/* The offset after the last whole frame; -1 after an error. `*stop` is 1 at a header that is wrong. */
static Py_ssize_t
scan_frames(Span data, Py_ssize_t start, Columns *columns, Tags *tags, PyObject *others, int *stop)
{
    Py_ssize_t at = start, end = (Py_ssize_t)size_of(data);
    while (end - at >= HEADER) {
        const uint8_t *frame = data.at + at;
        uint64_t size = u64(frame);
        if ((*stop = masked_crc(frame, 8) != u32(frame + 8)))
            break;
        if (end - at < SMALLEST || size > (uint64_t)(end - at - SMALLEST))
            break;
        Scalar scalar;
        Span event = {frame + HEADER, frame + HEADER + size};
        int is_bad = masked_crc(event.at, (size_t)size) != u32(event.end);
        if (!is_bad && scalar_of_event(event, &scalar)) {
            if (!add_scalar(columns, tags, &scalar)) {
                PyErr_NoMemory();
                return -1;
            }
        } else if (append_other(others, columns->count, at, (Py_ssize_t)size, is_bad) < 0) {
            return -1;
        }
        at += SMALLEST + (Py_ssize_t)size;
    }
    return at;
}

static PyObject *
list_of_tags(const Tags *tags)
{
    PyObject *list = PyList_New(tags->count);
    for (uint32_t i = 0; list != NULL && i < tags->count; i++) {
        PyObject *tag = PyBytes_FromStringAndSize((const char *)tags->tags[i].at,
                                                  (Py_ssize_t)size_of(tags->tags[i]));
        if (tag == NULL)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, i, tag);
    }
    return list;
}

static PyObject *
scanned(Span data, Py_ssize_t start)
{
    size_t room = (size_of(data) - (size_t)start) / SMALLEST + 1;
    Tags tags = {0};
    Columns columns = {malloc(room * 8), malloc(room * 8), malloc(room * 8), malloc(room * 4), 0};
    PyObject *others = PyList_New(0), *names = NULL, *result = NULL;
    int stop = 0;
    if (others == NULL || !columns.steps || !columns.times || !columns.values || !columns.places) {
        PyErr_NoMemory();
        goto done;
    }
    Py_ssize_t end = scan_frames(data, start, &columns, &tags, others, &stop);
    if (end < 0 || (names = list_of_tags(&tags)) == NULL)
        goto done;
    Py_ssize_t count = columns.count;
    result = Py_BuildValue("(niy#y#y#y#OO)", end, stop, columns.steps, count * 8, columns.times,
                           count * 8, columns.values, count * 8, columns.places, count * 4, names,
                           others);
done:
    free(columns.steps);
    free(columns.times);
    free(columns.values);
    free(columns.places);
    free(tags.tags);
    free(tags.slots);
    Py_XDECREF(others);
    Py_XDECREF(names);
    return result;
}

PyDoc_STRVAR(scan_doc, "See ``event_frames.scan``.");

static PyObject *
scan(PyObject *module, PyObject *arguments)
{
    Py_buffer view;
    Py_ssize_t start;
    if (!PyArg_ParseTuple(arguments, "y*n:scan", &view, &start))
        return NULL;
    PyObject *result = NULL;
    if (start < 0 || start > view.len)
        PyErr_SetString(PyExc_ValueError, "start is outside of the data");
    else
        result = scanned((Span){view.buf, (const uint8_t *)view.buf + view.len}, start);
    PyBuffer_Release(&view);
    return result;
}

PyDoc_STRVAR(find_doc, "See ``event_frames.find_frame``.");

static PyObject *
find_frame(PyObject *module, PyObject *arguments)
{
    Py_buffer view;
    Py_ssize_t at;
    if (!PyArg_ParseTuple(arguments, "y*n:find_frame", &view, &at))
        return NULL;
    const uint8_t *data = view.buf;
    for (at = at < 0 ? 0 : at; at + HEADER <= view.len; at++)
        if (masked_crc(data + at, 8) == u32(data + at + 8))
            break;
    PyBuffer_Release(&view);
    return PyLong_FromSsize_t(at);
}

/* ---- module ----------------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"scan", scan, METH_VARARGS, scan_doc},
    {"find_frame", find_frame, METH_VARARGS, find_doc},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "native", "The native backend of ``event_frames``.", -1, functions,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    make_table();
    return PyModule_Create(&definition);
}
