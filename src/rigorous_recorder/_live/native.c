/* The native backend of pure.py: the buffers of a live table, and appending to them.

   It gets writable buffers, knows the cell layout of each kind, and has no policy. It leaves rare
   cases (a new key, another kind, a full table) to Python, without having changed anything that
   readers see.

   A row is appended in two steps. First every value becomes a number or a pointer to bytes: here a
   value's own code can run, which may itself push, seal or close. Then, if the table is unchanged,
   the row is written: no Python code runs, nothing fails, and the GIL keeps other threads out. So
   appending a record needs no lock. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <structmember.h> /* T_LONGLONG */

/* A row's _node is written last of all, for readers in other processes. */
#if defined(_MSC_VER)
#include <intrin.h>
#define PUBLISH(place, value) ((void)_InterlockedExchange64((place), (value)))
#else
#define PUBLISH(place, value) __atomic_store_n((place), (value), __ATOMIC_RELEASE)
#endif

#define INLINE_BYTES 12 /* the bytes that an Arrow view holds itself */
#define VIEW_BYTES 16
#define FEW_FIELDS 24 /* up to this many need no heap memory */
#define PLANS 64
#define MOST_DIMENSIONS 32
#define MOST_ACCEPTED 8

/* What is missing for a row, other than bytes of text. */
#define NO_ROWS (-1)
#define NO_CELLS (-2)

/* Results of an attempt. */
typedef enum { FAILED = -1, REFUSED = 0, DONE = 1 } Outcome;

static PyObject *str_push_slowly, *str_add_slowly;
static PyTypeObject *SlotType, *PackType, *KeyedType, *BuffersType, *FastPathType, *PusherType;

/* ---- slots: the cells of one column --------------------------------------------------------- */

typedef enum { INT, FLOAT, INT32, BOOL, NOTHING, TEXT, BYTES, BLOCK } Cell;

static const struct {
    const char *name;
    int bits; /* of one value; 0 if the slot has it */
} CELLS[] = {
    [INT] = {"int", 64},     [FLOAT] = {"float", 64},           [INT32] = {"int32", 32},
    [BOOL] = {"bool", 1},    [NOTHING] = {"null", 1},           [TEXT] = {"text", 8 * VIEW_BYTES},
    [BYTES] = {"bytes", 8 * VIEW_BYTES}, [BLOCK] = {"block", 0},
};

typedef struct Pack Pack;

typedef struct {
    PyObject_HEAD
    Cell cell;
    Py_ssize_t rows; /* the capacity */
    Py_ssize_t width; /* bytes of one block */
    Py_ssize_t used;  /* bytes of the spill buffer */
    char element;     /* of a block: 'f', 'i' or 'u' */
    Py_ssize_t element_bytes;
    int dimensions;
    Py_ssize_t *shape;
    Py_buffer values, validity, spill;
    uint64_t taken; /* the latest row that was written with values for given slots */
    Pack *pack;     /* of a key in a pack, which has its cells and the slot; NULL: a cell for each row */
    char view[VIEW_BYTES]; /* the key, as it is written beside each value in a pack */
    Py_ssize_t start; /* of the key's text in the pack's spill buffer, if it is long */
    Py_ssize_t count; /* values written to a pack */
} Slot;

/* The cells of many keys, of which each row has few: a list for each row, as in an Arrow map. */
struct Pack {
    PyObject_HEAD
    Slot *keys, *values; /* side by side; without validity */
    Py_ssize_t room, used; /* cells */
    Py_ssize_t rows;
    Py_buffer offsets; /* for each row its first cell, and at the end that of the next row */
    PyObject *known;   /* dict: key to slot */
};

/* One value on its way into a slot. */
typedef struct {
    Slot *slot;
    union {
        int64_t number;
        double real;
        const char *bytes;
    };
    Py_ssize_t size; /* of the bytes */
} Raw;

static int
read_block(Slot *self, PyObject *block)
{
    const char *element;
    PyObject *shape;
    if (!PyTuple_Check(block) ||
        !PyArg_ParseTuple(block, "sO!", &element, &PyTuple_Type, &shape)) {
        PyErr_SetString(PyExc_TypeError, "a block is described by its element and its shape");
        return -1;
    }
    self->element = element[0];
    self->element_bytes = element[0] == '\0' ? 0 : element[1] - '0';
    Py_ssize_t count = 1, dimensions = PyTuple_Size(shape);
    self->shape = PyMem_Calloc((size_t)dimensions + 1, sizeof *self->shape);
    if (self->shape == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (self->element_bytes < 1 || self->element_bytes > 8) {
        PyErr_SetString(PyExc_ValueError, "an element has 1 to 8 bytes");
        return -1;
    }
    if (dimensions > MOST_DIMENSIONS) {
        PyErr_Format(PyExc_ValueError, "a block has up to %d dimensions", MOST_DIMENSIONS);
        return -1;
    }
    for (Py_ssize_t i = 0; i < dimensions; i++) {
        Py_ssize_t size = PyLong_AsSsize_t(PyTuple_GetItem(shape, i));
        if (size < 0) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a size is negative");
            return -1;
        }
        if (size && count > PY_SSIZE_T_MAX / 64 / size) {
            PyErr_SetString(PyExc_ValueError, "a block is too large");
            return -1;
        }
        self->shape[i] = size;
        count *= size;
    }
    self->dimensions = (int)dimensions;
    self->width = count * self->element_bytes;
    return 0;
}

static int
cell_named(const char *name, Cell *cell)
{
    for (size_t i = 0; i < sizeof CELLS / sizeof *CELLS; i++) {
        if (strcmp(CELLS[i].name, name) == 0) {
            *cell = (Cell)i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "there are no cells called %s", name);
    return -1;
}

static Py_ssize_t
rows_that_fit(Slot *self)
{
    Py_ssize_t bits = self->cell == BLOCK ? 8 * self->width : CELLS[self->cell].bits;
    Py_ssize_t fit = bits ? self->values.len / (bits < 8 ? 1 : bits / 8) : PY_SSIZE_T_MAX / 8;
    if (bits == 1)
        fit = 8 * self->values.len;
    if (self->validity.buf == NULL)
        return fit;
    return fit < 8 * self->validity.len ? fit : 8 * self->validity.len;
}

static PyObject *
Slot_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *names[] = {"cell", "values", "validity", "spill", "block", NULL};
    const char *cell;
    PyObject *values, *validity, *spill = Py_None, *block = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, named, "sOO|OO", names, &cell, &values, &validity,
                                     &spill, &block))
        return NULL;
    Slot *self = (Slot *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    if (cell_named(cell, &self->cell) < 0 || (self->cell == BLOCK && read_block(self, block) < 0) ||
        PyObject_GetBuffer(values, &self->values, PyBUF_CONTIG) < 0 ||
        (validity != Py_None && PyObject_GetBuffer(validity, &self->validity, PyBUF_CONTIG) < 0) ||
        (spill != Py_None && PyObject_GetBuffer(spill, &self->spill, PyBUF_CONTIG) < 0)) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    self->rows = rows_that_fit(self);
    return (PyObject *)self;
}

static void
Slot_dealloc(Slot *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyBuffer_Release(&self->values);
    PyBuffer_Release(&self->validity);
    PyBuffer_Release(&self->spill);
    PyMem_Free(self->shape);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

/* Whether a buffer of an array has the elements and the shape of the slot's blocks. */
static int
is_such_a_block(const Slot *self, const Py_buffer *found)
{
    const char *format = found->format ? found->format : "B";
    if (format[0] == '@' || format[0] == '=') /* as of an array that is not aligned */
        format++;
    if (format[0] == '\0' || format[1] != '\0' || found->itemsize != self->element_bytes ||
        found->ndim != self->dimensions)
        return 0;
    char kind = strchr("efd", *format) ? 'f' : strchr("bhilq", *format) ? 'i'
              : strchr("BHILQ", *format) ? 'u' : '\0';
    if (kind != self->element)
        return 0;
    for (int i = 0; i < found->ndim; i++) {
        if (found->shape[i] != self->shape[i])
            return 0;
    }
    return 1;
}

/* One try to append a row; whether nothing else has been tried since, and the table is the same. */
typedef struct Attempt Attempt;
static int is_current(const Attempt *);

/* Copy an array into the cell of a row that does not exist yet, or that no other code writes. */
static Outcome
copy_block(Slot *self, Py_ssize_t row, PyObject *value, const Attempt *attempt)
{
    Py_buffer found;
    if (PyObject_GetBuffer(value, &found, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return FAILED;
    int fits = is_such_a_block(self, &found) && row < self->rows &&
               (attempt == NULL || is_current(attempt));
    if (fits)
        memcpy((char *)self->values.buf + row * self->width, found.buf, (size_t)self->width);
    PyBuffer_Release(&found);
    return fits ? DONE : REFUSED;
}

static void
write_bit(Py_buffer *bits, Py_ssize_t row, int is_set)
{
    unsigned char *byte = (unsigned char *)bits->buf + (row >> 3);
    unsigned char mask = (unsigned char)(1u << (row & 7));
    *byte = is_set ? *byte | mask : *byte & (unsigned char)~mask;
}

/* The view of a text, whose bytes go to the slot's spill buffer if they are long. */
static inline void
make_view(Slot *slot, char *view, const char *bytes, Py_ssize_t size)
{
    int32_t length = (int32_t)size, start = (int32_t)slot->used;
    memset(view, 0, VIEW_BYTES);
    memcpy(view, &length, 4);
    if (size <= INLINE_BYTES) {
        memcpy(view + 4, bytes, (size_t)size);
    }
    else {
        memcpy((char *)slot->spill.buf + slot->used, bytes, (size_t)size);
        memcpy(view + 4, bytes, 4);
        memcpy(view + 12, &start, 4);
        slot->used += size;
    }
}

static void
write_view(Slot *slot, Py_ssize_t row, const char *bytes, Py_ssize_t size)
{
    char view[VIEW_BYTES];
    make_view(slot, view, bytes, size);
    memcpy((char *)slot->values.buf + row * VIEW_BYTES, view, VIEW_BYTES);
}

/* Write a value to a cell of the slot that has the cells. */
static inline void
write_value(Slot *slot, const Raw *raw, Py_ssize_t row)
{
    switch (slot->cell) {
    case INT:
        ((int64_t *)slot->values.buf)[row] = raw->number;
        break;
    case FLOAT:
        ((double *)slot->values.buf)[row] = raw->real;
        break;
    case INT32:
        ((int32_t *)slot->values.buf)[row] = (int32_t)raw->number;
        break;
    case BOOL:
    case NOTHING:
        write_bit(&slot->values, row, (int)raw->number);
        break;
    case TEXT:
    case BYTES:
        write_view(slot, row, raw->bytes, raw->size);
        break;
    case BLOCK:
        break; /* copied already */
    }
}

/* Write a key and its value behind the cells that a pack has. */
static void
write_packed(const Raw *raw)
{
    Slot *slot = raw->slot;
    Pack *pack = slot->pack;
    memcpy((char *)pack->keys->values.buf + pack->used * VIEW_BYTES, slot->view, VIEW_BYTES);
    write_value(pack->values, raw, pack->used++);
    slot->count++;
}

static inline void
write_raw(const Raw *raw, Py_ssize_t row)
{
    Slot *slot = raw->slot;
    if (slot->pack != NULL) {
        write_packed(raw);
        return;
    }
    write_value(slot, raw, row);
    ((unsigned char *)slot->validity.buf)[row >> 3] |= (unsigned char)(1u << (row & 7));
}

/* Bytes that the spill buffer still takes: a view points to 31 bits' worth. */
static inline Py_ssize_t
spill_left(const Slot *slot)
{
    return (slot->spill.len < INT32_MAX ? slot->spill.len : INT32_MAX) - slot->used;
}

/* The bytes of a value that go to a spill buffer. */
static inline Py_ssize_t
spilled(const Raw *raw)
{
    Cell cell = raw->slot->cell;
    return (cell == TEXT || cell == BYTES) && raw->size > INLINE_BYTES ? raw->size : 0;
}

/* What is missing for a row: bytes of a spill buffer, or cells of a pack. A pack needs more than it
   is sure to if some of the values are not for it. */
static inline Py_ssize_t
missing_in_row(const Raw *raws, Py_ssize_t count)
{
    Py_ssize_t packed = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const Pack *pack = raws[i].slot->pack;
        Py_ssize_t size = spilled(&raws[i]);
        if (pack == NULL) {
            if (size > 0 && size > spill_left(raws[i].slot))
                return size;
            continue;
        }
        packed += size;
        if (pack->room - pack->used < count)
            return NO_CELLS;
        if (size > 0 && packed > spill_left(pack->values))
            return packed;
    }
    return 0;
}

static int
copy_bits(Py_buffer *to, Py_ssize_t row, const Py_buffer *from, Py_ssize_t offset,
          Py_ssize_t count)
{
    const unsigned char *bits = from->buf;
    if (from->len < (offset + count + 7) / 8) {
        PyErr_SetString(PyExc_ValueError, "a column has too few bits");
        return -1;
    }
    Py_ssize_t done = 0;
    if ((offset & 7) == 0 && (row & 7) == 0) {
        memcpy((char *)to->buf + row / 8, bits + offset / 8, (size_t)(count / 8));
        done = count / 8 * 8;
    }
    for (; done < count; done++) {
        Py_ssize_t bit = offset + done;
        write_bit(to, row + done, bits[bit >> 3] >> (bit & 7) & 1);
    }
    return 0;
}

/* An offset of a text column, whose buffer can begin anywhere. */
static inline Py_ssize_t
offset_at(const Py_buffer *offsets, Py_ssize_t i)
{
    int32_t found;
    memcpy(&found, (const char *)offsets->buf + i * (Py_ssize_t)sizeof found, sizeof found);
    return found;
}

/* Write views of the texts between offsets; gives the bytes of spill that are missing. */
static Py_ssize_t
fill_views(Slot *self, Py_ssize_t row, const Py_buffer *values, const Py_buffer *data,
           Py_ssize_t offset, Py_ssize_t count)
{
    if (values->len / 4 < offset + count + 1 || offset_at(values, offset) < 0) {
        PyErr_SetString(PyExc_ValueError, "a column has too few offsets");
        return -1;
    }
    Py_ssize_t needed = 0;
    for (Py_ssize_t i = offset; i < offset + count; i++) {
        Py_ssize_t start = offset_at(values, i), end = offset_at(values, i + 1);
        if (end < start || end > data->len) {
            PyErr_SetString(PyExc_ValueError, "the offsets of a column point outside its data");
            return -1;
        }
        needed += end - start > INLINE_BYTES ? end - start : 0;
    }
    if (needed > spill_left(self))
        return needed;
    for (Py_ssize_t i = offset; i < offset + count; i++) {
        Py_ssize_t start = offset_at(values, i), end = offset_at(values, i + 1);
        write_view(self, row + i - offset, (const char *)data->buf + start, end - start);
    }
    return 0;
}

static Py_ssize_t
fill_values(Slot *self, Py_ssize_t row, const Py_buffer *values, const Py_buffer *data,
            Py_ssize_t offset, Py_ssize_t count)
{
    if (self->cell == TEXT || self->cell == BYTES)
        return fill_views(self, row, values, data, offset, count);
    if (CELLS[self->cell].bits == 1)
        return copy_bits(&self->values, row, values, offset, count);
    Py_ssize_t width = self->cell == BLOCK ? self->width : CELLS[self->cell].bits / 8;
    if (width && values->len / width < offset + count) {
        PyErr_SetString(PyExc_ValueError, "a column has too few values");
        return -1;
    }
    memcpy((char *)self->values.buf + row * width, (const char *)values->buf + offset * width,
           (size_t)(count * width));
    return 0;
}

PyDoc_STRVAR(Slot_fill_doc,
"fill(row, count, offset, buffers)\n--\n\n"
"Copy rows of an Arrow column to the rows from ``row`` on.\n\n"
"``buffers`` are the column's validity (None: all are there) and values, and of text its bytes.\n\n"
"Returns:\n    0, or the bytes that the spill buffer lacks; then nothing was copied.\n\n"
"Raises:\n    ValueError: there is no room for the rows, or the buffers are too short.");

static PyObject *
Slot_fill(Slot *self, PyObject *args)
{
    Py_ssize_t row, count, offset, missing;
    Py_buffer validity = {0}, values = {0}, data = {0};
    if (!PyArg_ParseTuple(args, "nnn(z*y*z*)", &row, &count, &offset, &validity, &values, &data))
        return NULL;
    if (self->validity.buf == NULL || row < 0 || count < 0 || offset < 0 || row > self->rows || count > self->rows - row ||
        offset > PY_SSIZE_T_MAX / 32) {
        PyErr_SetString(PyExc_ValueError, "there is no room for these rows");
        missing = -1;
    }
    else {
        missing = fill_values(self, row, &values, &data, offset, count);
    }
    if (missing == 0 && validity.buf != NULL)
        missing = copy_bits(&self->validity, row, &validity, offset, count);
    for (Py_ssize_t i = 0; missing == 0 && validity.buf == NULL && i < count; i++)
        write_bit(&self->validity, row + i, 1);
    PyBuffer_Release(&validity);
    PyBuffer_Release(&values);
    PyBuffer_Release(&data);
    return missing < 0 ? NULL : PyLong_FromSsize_t(missing);
}

/* The raw form of a value that Python has converted for a slot. */
static Outcome
raw_for(Slot *slot, Py_ssize_t row, PyObject *value, Raw *raw)
{
    raw->slot = slot;
    switch (slot->cell) {
    case INT:
    case INT32:
        raw->number = PyLong_AsLongLong(value);
        if (slot->cell == INT32 && !PyErr_Occurred() && raw->number != (int32_t)raw->number)
            PyErr_SetString(PyExc_OverflowError, "beyond 32 bits");
        return PyErr_Occurred() ? FAILED : DONE;
    case FLOAT:
        raw->real = PyFloat_AsDouble(value);
        return PyErr_Occurred() ? FAILED : DONE;
    case BOOL:
        raw->number = PyObject_IsTrue(value);
        return raw->number < 0 ? FAILED : DONE;
    case NOTHING:
        raw->number = 1;
        return DONE;
    case TEXT:
        raw->bytes = PyUnicode_AsUTF8AndSize(value, &raw->size);
        return raw->bytes ? DONE : FAILED;
    case BYTES:
        return PyBytes_AsStringAndSize(value, (char **)&raw->bytes, &raw->size) < 0 ? FAILED : DONE;
    case BLOCK:
        if (copy_block(slot, row, value, NULL) == DONE)
            return DONE;
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "an array of another type or shape");
        return FAILED;
    }
    return FAILED;
}

PyDoc_STRVAR(Slot_put_doc,
"put(row, value)\n--\n\n"
"Write the value of a row, possibly of an existing one.");

static PyObject *
Slot_put(Slot *self, PyObject *args)
{
    Raw raw;
    Py_ssize_t row;
    PyObject *value;
    if (!PyArg_ParseTuple(args, "nO", &row, &value))
        return NULL;
    if (self->validity.buf == NULL || row < 0 || row >= self->rows)
        return PyErr_Format(PyExc_ValueError, "there is no row %zd", row);
    if (raw_for(self, row, value, &raw) == FAILED)
        return NULL;
    if (missing_in_row(&raw, 1))
        return PyErr_Format(PyExc_ValueError, "the spill buffer is full");
    write_raw(&raw, row);
    Py_RETURN_NONE;
}

static PyObject *
Slot_get_used(Slot *self, void *closure)
{
    return PyLong_FromSsize_t(self->used);
}

static int
Slot_set_used(Slot *self, PyObject *value, void *closure)
{
    Py_ssize_t used = value ? PyLong_AsSsize_t(value) : -1;
    if (used >= 0 && used <= self->spill.len) {
        self->used = used;
        return 0;
    }
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "the spill buffer has not so many bytes");
    return -1;
}

static PyObject *
Slot_get_count(Slot *self, void *closure)
{
    return PyLong_FromSsize_t(self->count);
}

static PyObject *
Slot_get_start(Slot *self, void *closure)
{
    return PyLong_FromSsize_t(self->start);
}

static PyMethodDef Slot_methods[] = {
    {"put", (PyCFunction)Slot_put, METH_VARARGS, Slot_put_doc},
    {"fill", (PyCFunction)Slot_fill, METH_VARARGS, Slot_fill_doc},
    {NULL},
};

static PyGetSetDef Slot_getset[] = {
    {"used", (getter)Slot_get_used, (setter)Slot_set_used, "Bytes of the spill buffer in use.",
     NULL},
    {"count", (getter)Slot_get_count, NULL, "Number of values that a key in a pack got.", NULL},
    {"start", (getter)Slot_get_start, NULL, "Where the text of a key in a pack begins.", NULL},
    {NULL},
};

PyDoc_STRVAR(Slot_doc,
"Slot(cell, values, validity, spill=None, block=None)\n--\n\n"
"The cells of one column, by row, with values, validity bits (None: in a pack) and long texts.");

static PyType_Slot Slot_slots[] = {
    {Py_tp_new, Slot_new},         {Py_tp_dealloc, Slot_dealloc}, {Py_tp_methods, Slot_methods},
    {Py_tp_getset, Slot_getset},   {Py_tp_doc, (void *)Slot_doc}, {0, NULL},
};

static PyType_Spec Slot_spec = {
    "rigorous_recorder._live.native.Slot", sizeof(Slot), 0, Py_TPFLAGS_DEFAULT, Slot_slots};

/* ---- packs: the cells of many keys, of which each row has few --------------------------------- */

static PyObject *
Pack_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *names[] = {"offsets", "keys", "values", NULL};
    PyObject *offsets, *keys, *values;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OO!O!", names, &offsets, SlotType, &keys,
                                     SlotType, &values))
        return NULL;
    Slot *key_slot = (Slot *)keys, *value_slot = (Slot *)values;
    if (key_slot->cell != TEXT || value_slot->cell == BLOCK || key_slot->pack || value_slot->pack) {
        PyErr_SetString(PyExc_TypeError, "a pack has keys that are text, and no arrays");
        return NULL;
    }
    Pack *self = (Pack *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(keys);
    Py_INCREF(values);
    self->keys = key_slot;
    self->values = value_slot;
    if (PyObject_GetBuffer(offsets, &self->offsets, PyBUF_CONTIG) < 0 ||
        (self->known = PyDict_New()) == NULL) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    self->rows = self->offsets.len / (Py_ssize_t)sizeof(int32_t) - 1;
    self->room = key_slot->rows < value_slot->rows ? key_slot->rows : value_slot->rows;
    if (self->room > INT32_MAX)
        self->room = INT32_MAX;
    return (PyObject *)self;
}

static void
Pack_dealloc(Pack *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyBuffer_Release(&self->offsets);
    PyObject *key, *slot;
    Py_ssize_t position = 0;
    while (self->known != NULL && PyDict_Next(self->known, &position, &key, &slot))
        ((Slot *)slot)->pack = NULL; /* no table takes it any more */
    Py_XDECREF(self->known);
    Py_XDECREF((PyObject *)self->keys);
    Py_XDECREF((PyObject *)self->values);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

/* End a row: the next one begins behind the cells in use. */
static inline void
end_row(Pack *self, Py_ssize_t row)
{
    ((int32_t *)self->offsets.buf)[row + 1] = (int32_t)self->used;
}

PyDoc_STRVAR(Pack_slot_doc,
"slot(key)\n--\n\n"
"The slot for the values of a key; None if there is no room for the text of the key.");

/* The slot of a key, borrowed; NULL, perhaps without an error, if there is no room for its text. */
static Slot *
slot_in(Pack *self, PyObject *key)
{
    Raw raw = {.slot = self->keys};
    PyObject *known = PyDict_GetItemWithError(self->known, key);
    if (known != NULL || PyErr_Occurred())
        return (Slot *)known;
    if ((raw.bytes = PyUnicode_AsUTF8AndSize(key, &raw.size)) == NULL ||
        spilled(&raw) > spill_left(self->keys))
        return NULL;
    Slot *slot = (Slot *)PyType_GenericAlloc(SlotType, 0);
    if (slot == NULL)
        return NULL;
    slot->pack = self;
    slot->cell = self->values->cell;
    slot->rows = self->rows;
    slot->start = self->keys->used;
    make_view(self->keys, slot->view, raw.bytes, raw.size);
    int failed = PyDict_SetItem(self->known, key, (PyObject *)slot);
    Py_DECREF((PyObject *)slot);
    return failed ? NULL : slot;
}

static PyObject *
Pack_slot(Pack *self, PyObject *key)
{
    if (!PyUnicode_CheckExact(key))
        return PyErr_Format(PyExc_TypeError, "a key in a pack is text");
    PyObject *slot = (PyObject *)slot_in(self, key);
    if (slot == NULL && PyErr_Occurred())
        return NULL;
    slot = slot ? slot : Py_None;
    Py_INCREF(slot);
    return slot;
}

static PyObject *
Pack_get_known(Pack *self, void *closure)
{
    Py_INCREF(self->known);
    return self->known;
}

static PyGetSetDef Pack_getset[] = {
    {"known", (getter)Pack_get_known, NULL, "The slots of keys, in the order they came.", NULL},
    {NULL},
};

PyDoc_STRVAR(Pack_skip_doc,
"skip(row, count)\n--\n\n"
"Make rows from ``row`` on empty.\n\n"
"Raises:\n    ValueError: there is no room for them.");

static PyObject *
Pack_skip(Pack *self, PyObject *args)
{
    Py_ssize_t row, count;
    if (!PyArg_ParseTuple(args, "nn", &row, &count))
        return NULL;
    if (row < 0 || count < 0 || row > self->rows || count > self->rows - row)
        return PyErr_Format(PyExc_ValueError, "there is no room for %zd rows", count);
    for (Py_ssize_t i = 0; i < count; i++)
        end_row(self, row + i);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(Pack_resume_doc,
"resume(row)\n--\n\n"
"Go on behind the cells of so many rows, which were copied.\n\n"
"Raises:\n    ValueError: there are fewer cells, or rows.");

static PyObject *
Pack_resume(Pack *self, PyObject *row_number)
{
    Py_ssize_t row = PyLong_AsSsize_t(row_number), used = -1;
    if (row == -1 && PyErr_Occurred())
        return NULL;
    if (row >= 0 && row <= self->rows)
        used = ((int32_t *)self->offsets.buf)[row];
    if (used < 0 || used > self->room)
        return PyErr_Format(PyExc_ValueError, "row %zd has no cells in this pack", row);
    self->used = used;
    Py_RETURN_NONE;
}

static PyMethodDef Pack_methods[] = {
    {"slot", (PyCFunction)Pack_slot, METH_O, Pack_slot_doc},
    {"skip", (PyCFunction)Pack_skip, METH_VARARGS, Pack_skip_doc},
    {"resume", (PyCFunction)Pack_resume, METH_O, Pack_resume_doc},
    {NULL},
};

PyDoc_STRVAR(Pack_doc,
"Pack(offsets, keys, values)\n--\n\n"
"The cells of many keys, of which each row has few, as in an Arrow map: for each row where its cells\n"
"begin, and slots without validity for the keys and for the values.");

static PyType_Slot Pack_slots[] = {
    {Py_tp_new, Pack_new},         {Py_tp_dealloc, Pack_dealloc}, {Py_tp_methods, Pack_methods},
    {Py_tp_getset, Pack_getset},   {Py_tp_doc, (void *)Pack_doc}, {0, NULL},
};

static PyType_Spec Pack_spec = {
    "rigorous_recorder._live.native.Pack", sizeof(Pack), 0, Py_TPFLAGS_DEFAULT, Pack_slots};

/* ---- keyed: which slot of a key takes values of which type ----------------------------------- */

typedef struct {
    PyTypeObject *type;
    Slot *slot;
} Choice;

typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    Choice *choices; /* the one that was taken last comes first */
} Keyed;

static void
Keyed_dealloc(Keyed *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_DECREF((PyObject *)self->choices[i].type);
        Py_DECREF((PyObject *)self->choices[i].slot);
    }
    PyMem_Free(self->choices);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

static PyType_Slot Keyed_slots[] = {{Py_tp_dealloc, Keyed_dealloc}, {0, NULL}};

static PyType_Spec Keyed_spec = {
    "rigorous_recorder._live.native._Keyed", sizeof(Keyed), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, Keyed_slots};

/* Whether cells can take values of a type as they are. */
static int
takes(Cell cell, PyTypeObject *type)
{
    switch (cell) {
    case INT: /* times and durations have a type of their own */
        return type != &PyBool_Type && PyType_IsSubtype(type, &PyLong_Type);
    case FLOAT:
        return type == &PyFloat_Type;
    case BOOL:
        return type == &PyBool_Type;
    case NOTHING:
        return type == Py_TYPE(Py_None);
    case TEXT:
        return PyType_IsSubtype(type, &PyUnicode_Type);
    case BYTES:
        return type == &PyBytes_Type;
    case BLOCK:
        return 1;
    case INT32:
        return 0;
    }
    return 0;
}

/* Let values of a type go to a slot, unless another one has that type. */
static int
add_choice(Keyed *self, PyTypeObject *type, Slot *slot)
{
    for (Py_ssize_t i = 0; i < self->count; i++) {
        if (self->choices[i].type == type)
            return 0;
    }
    Choice *more = PyMem_Realloc(self->choices, (size_t)(self->count + 1) * sizeof(Choice));
    if (more == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF((PyObject *)type);
    Py_INCREF((PyObject *)slot);
    self->choices = more;
    self->choices[self->count++] = (Choice){type, slot};
    return 0;
}

static Slot *
slot_for(Keyed *self, PyTypeObject *type)
{
    for (Py_ssize_t i = 1; i < self->count; i++) {
        Choice found = self->choices[i];
        if (found.type == type) {
            self->choices[i] = self->choices[0];
            self->choices[0] = found;
            return found.slot;
        }
    }
    return NULL;
}

/* ---- buffers: the writable side of one live table -------------------------------------------- */

/* One field of a record, and the cells that its last value went to. */
typedef struct {
    PyTypeObject *type;
    Cell cell;
    void *values;
    unsigned char *validity;
    Keyed *keyed;
} Field;

/* Where values of a type under new keys go. */
typedef struct {
    PyTypeObject *type;
    Pack *pack;
} Accepted;

/* The fields of records from one place in the user's code, looked up once. */
typedef struct {
    Py_ssize_t users; /* the table, and whoever is in the middle of a record */
    Py_ssize_t count;
    PyObject *names; /* the tuple of a call's keywords, which is the same at every call; or NULL */
    PyObject **keys;
    Field fields[1]; /* then the keys */
} Plan;

typedef struct {
    PyObject_HEAD
    int64_t *nodes;
    Py_ssize_t capacity, rows;
    PyObject *keyed;      /* dict: key to Keyed */
    PyObject *marks;      /* the same for keys that are not text */
    PyObject *packs;      /* tuple of Pack, which have to know of every row */
    Py_ssize_t pack_count;
    uint64_t written;     /* rows with values for given slots */
    Accepted accepted[MOST_ACCEPTED];
    int accepted_count;
    Py_ssize_t most_keys; /* of a pack */
    PyObject *reserved;   /* frozenset of keys that are never new; NULL: there are no new keys */
    PyObject *converters; /* dict: type to what makes a plain value of one */
    Plan *last;
    Plan *plans[PLANS];
    uintptr_t missed[PLANS]; /* the latest unsuccessful lookups */
    Py_buffer node_buffer;
} Buffers;

static void
free_plan(Plan *plan)
{
    if (plan == NULL || --plan->users)
        return;
    Py_XDECREF(plan->names);
    for (Py_ssize_t i = 0; i < plan->count; i++)
        Py_DECREF(plan->keys[i]);
    PyMem_Free(plan);
}

static void
accept_nothing(Buffers *self)
{
    while (self->accepted_count > 0)
        Py_DECREF((PyObject *)self->accepted[--self->accepted_count].type);
}

static void
Buffers_dealloc(Buffers *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    for (int i = 0; i < PLANS; i++)
        free_plan(self->plans[i]);
    Py_XDECREF(self->keyed);
    Py_XDECREF(self->marks);
    accept_nothing(self);
    Py_XDECREF(self->packs);
    Py_XDECREF(self->reserved);
    Py_XDECREF(self->converters);
    PyBuffer_Release(&self->node_buffer);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

static inline Pack *
pack_at(const Buffers *self, Py_ssize_t place)
{
    return (Pack *)PyTuple_GetItem(self->packs, place);
}

static int
has_pack(const Buffers *self, const Pack *pack)
{
    for (Py_ssize_t i = 0; i < self->pack_count; i++) {
        if (pack_at(self, i) == pack)
            return 1;
    }
    return 0;
}

/* Whether a slot has a cell for every row, or its pack has. */
static int
is_of_this_table(const Buffers *self, const Slot *slot)
{
    if (slot->rows < self->capacity)
        return 0;
    return slot->pack ? has_pack(self, slot->pack) : slot->validity.buf != NULL;
}

static int
add_slot(Buffers *self, PyObject *key, PyObject *type, PyObject *slot)
{
    if (!PyType_Check(type) || !Py_IS_TYPE(slot, SlotType) ||
        !takes(((Slot *)slot)->cell, (PyTypeObject *)type) ||
        !is_of_this_table(self, (Slot *)slot)) {
        PyErr_SetString(PyExc_TypeError, "a slot does not take values of that type, or so many");
        return -1;
    }
    PyObject *place = PyUnicode_CheckExact(key) ? self->keyed : self->marks;
    PyObject *keyed = PyDict_GetItemWithError(place, key);
    if (keyed != NULL)
        return add_choice((Keyed *)keyed, (PyTypeObject *)type, (Slot *)slot);
    if (PyErr_Occurred() || (keyed = PyType_GenericAlloc(KeyedType, 0)) == NULL)
        return -1;
    int failed = add_choice((Keyed *)keyed, (PyTypeObject *)type, (Slot *)slot) ||
                 PyDict_SetItem(place, key, keyed);
    Py_DECREF(keyed);
    return failed ? -1 : 0;
}

static int
read_direct(Buffers *self, PyObject *direct)
{
    PyObject *key, *by_type, *type, *slot;
    Py_ssize_t position = 0;
    if ((self->keyed = PyDict_New()) == NULL || (self->marks = PyDict_New()) == NULL)
        return -1;
    while (PyDict_Next(direct, &position, &key, &by_type)) {
        Py_ssize_t inner = 0;
        if (!PyDict_Check(by_type)) {
            PyErr_SetString(PyExc_TypeError, "expected a dict of types and slots");
            return -1;
        }
        while (PyDict_Next(by_type, &inner, &type, &slot)) {
            if (add_slot(self, key, type, slot) < 0)
                return -1;
        }
    }
    return 0;
}

static int
read_packs(Buffers *self, PyObject *packs)
{
    self->packs = packs ? PySequence_Tuple(packs) : PyTuple_New(0);
    if (self->packs == NULL)
        return -1;
    Py_ssize_t count = PyTuple_Size(self->packs);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pack = PyTuple_GetItem(self->packs, i);
        if (!Py_IS_TYPE(pack, PackType) || ((Pack *)pack)->rows < self->capacity) {
            PyErr_SetString(PyExc_TypeError, "expected packs with room for all rows");
            return -1;
        }
    }
    self->pack_count = count;
    return 0;
}

static PyObject *
Buffers_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *names[] = {"nodes", "direct", "converters", "packs", NULL};
    PyObject *nodes, *direct, *converters, *packs = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OO!O!|O", names, &nodes, &PyDict_Type, &direct,
                                     &PyDict_Type, &converters, &packs))
        return NULL;
    Buffers *self = (Buffers *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    if (PyObject_GetBuffer(nodes, &self->node_buffer, PyBUF_CONTIG) < 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    self->nodes = self->node_buffer.buf;
    self->capacity = self->node_buffer.len / (Py_ssize_t)sizeof(int64_t);
    Py_INCREF(converters);
    self->converters = converters;
    if (read_packs(self, packs) < 0 || read_direct(self, direct) < 0) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static inline uintptr_t
signature(PyObject *const *keys, Py_ssize_t count)
{
    uintptr_t first = (uintptr_t)keys[0] >> 4, last = (uintptr_t)keys[count - 1] >> 4;
    return first ^ (last * 31) ^ (uintptr_t)count;
}

static int
is_plan_for(const Plan *plan, PyObject *const *keys, Py_ssize_t count)
{
    return plan->count == count &&
           memcmp(plan->keys, keys, (size_t)count * sizeof(PyObject *)) == 0;
}

/* The keyed of a key; NULL, without an error, where it has none. */
static Keyed *
keyed_at(Buffers *self, PyObject *key)
{
    if (PyUnicode_CheckExact(key))
        return (Keyed *)PyDict_GetItemWithError(self->keyed, key);
    PyObject *known, *keyed; /* of the hash and the equality of others we know nothing */
    Py_ssize_t position = 0;
    while (PyDict_Next(self->marks, &position, &known, &keyed)) {
        if (known == key)
            return (Keyed *)keyed;
    }
    return NULL;
}

static Plan *
new_plan(Buffers *self, PyObject *const *keys, Py_ssize_t count, PyObject *names)
{
    size_t size = (size_t)count * (sizeof(Field) + sizeof(PyObject *));
    Plan *plan = PyMem_Malloc(sizeof(Plan) + size);
    if (plan == NULL)
        return NULL;
    plan->keys = (PyObject **)(plan->fields + count);
    for (Py_ssize_t i = 0; i < count; i++) {
        Keyed *keyed = keyed_at(self, keys[i]);
        if (keyed == NULL) {
            PyMem_Free(plan);
            return NULL;
        }
        plan->fields[i] = (Field){.keyed = keyed};
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(keys[i]);
        plan->keys[i] = keys[i];
    }
    Py_XINCREF(names);
    plan->names = names;
    plan->count = count;
    plan->users = 1;
    return plan;
}

/* The plan for these keys, made when they come a second time; NULL where there is none. */
static Plan *
plan_for(Buffers *self, PyObject *const *keys, Py_ssize_t count, PyObject *names)
{
    uintptr_t sign = signature(keys, count);
    size_t place = sign % PLANS;
    Plan *plan = self->plans[place];
    if (plan != NULL && is_plan_for(plan, keys, count))
        return self->last = plan;
    if (self->missed[place] != sign) {
        self->missed[place] = sign;
        return NULL;
    }
    if ((plan = new_plan(self, keys, count, names)) == NULL)
        return NULL;
    Plan *old = self->plans[place];
    self->plans[place] = self->last = plan;
    free_plan(old);
    return plan;
}

/* ---- fast path: where the rows of a table go, as long as it is open -------------------------------- */

typedef struct {
    PyObject_HEAD
    Buffers *buffers; /* NULL: the fast path is closed */
    uint64_t turn;    /* changes with every row that is tried, and when it is set */
} FastPath;

struct Attempt {
    FastPath *fast_path;
    Buffers *buffers;
    uint64_t turn;
    Py_ssize_t row;
    PyObject *held; /* the converted values whose bytes are written; NULL where there are none */
};

static int
is_current(const Attempt *self)
{
    return self->fast_path->turn == self->turn && self->buffers->rows == self->row;
}

static Outcome raw_of(Attempt *, Keyed *, PyObject *, Raw *, int);

/* Hold a converted value until the row is written, which has its bytes. */
static Outcome
hold(Attempt *attempt, PyObject *plain)
{
    if (attempt->held == NULL && (attempt->held = PyList_New(0)) == NULL)
        return FAILED;
    return PyList_Append(attempt->held, plain) < 0 ? FAILED : DONE;
}

/* A value of a type that is no plain one, by what makes a plain value of it. */
static Outcome
raw_of_foreign(Attempt *attempt, Keyed *keyed, PyObject *value, Raw *raw)
{
    PyObject *converters = attempt->buffers->converters;
    PyObject *convert = PyDict_GetItemWithError(converters, (PyObject *)Py_TYPE(value));
    if (convert == NULL)
        return PyErr_Occurred() ? FAILED : REFUSED;
    Py_INCREF(convert);
    PyObject *plain = PyObject_CallFunctionObjArgs(convert, value, NULL);
    Py_DECREF(convert);
    if (plain == NULL)
        return FAILED;
    Outcome outcome = raw_of(attempt, keyed, plain, raw, 0);
    if (outcome == DONE && (raw->slot->cell == TEXT || raw->slot->cell == BYTES))
        outcome = hold(attempt, plain);
    Py_DECREF(plain);
    return outcome;
}

static inline Outcome
raw_of(Attempt *attempt, Keyed *keyed, PyObject *value, Raw *raw, int is_first)
{
    int overflow = 0;
    PyTypeObject *type = Py_TYPE(value);
    Slot *slot = keyed->choices[0].slot;
    if (keyed->choices[0].type != type) {
        slot = slot_for(keyed, type);
        if (slot == NULL)
            return is_first ? raw_of_foreign(attempt, keyed, value, raw) : REFUSED;
    }
    raw->slot = slot;
    switch (slot->cell) {
    case FLOAT:
        raw->real = PyFloat_AsDouble(value);
        return DONE;
    case INT:
        raw->number = PyLong_AsLongLongAndOverflow(value, &overflow);
        return overflow ? REFUSED : DONE;
    case BOOL:
        raw->number = value == Py_True;
        return DONE;
    case NOTHING:
        raw->number = 1;
        return DONE;
    case TEXT:
        raw->bytes = PyUnicode_AsUTF8AndSize(value, &raw->size);
        return raw->bytes ? DONE : FAILED;
    case BYTES:
        return PyBytes_AsStringAndSize(value, (char **)&raw->bytes, &raw->size) < 0 ? FAILED : DONE;
    case BLOCK:
        return copy_block(slot, attempt->row, value, attempt);
    case INT32:
        break;
    }
    return REFUSED;
}

/* Let readers see a row, whose values are all written. */
static inline void
publish_row(Buffers *self, int64_t node)
{
    Py_ssize_t row = self->rows;
    for (Py_ssize_t i = 0; i < self->pack_count; i++)
        end_row(pack_at(self, i), row);
    PUBLISH(&self->nodes[row], node);
    self->rows = row + 1;
}

/* Let values of a type under a new key go to a pack, where the table accepts that; NULL, perhaps
   without an error, where it does not. */
static Keyed *
accept(Buffers *self, PyObject *key, PyTypeObject *type)
{
    if (self->reserved == NULL || !PyUnicode_CheckExact(key))
        return NULL;
    for (int i = 0; i < self->accepted_count; i++) {
        Pack *pack = self->accepted[i].pack;
        if (self->accepted[i].type != type || PyDict_Size(pack->known) >= self->most_keys)
            continue;
        if (PySet_Contains(self->reserved, key))
            return NULL;
        Slot *slot = slot_in(pack, key);
        if (slot == NULL || add_slot(self, key, (PyObject *)type, (PyObject *)slot) < 0)
            return NULL;
        return keyed_at(self, key);
    }
    return NULL;
}

/* Write a row whose values are all known: nothing can go wrong any more. */
static inline void
write_row(Buffers *self, int64_t node, const Raw *raws, Py_ssize_t count)
{
    Py_ssize_t row = self->rows;
    for (Py_ssize_t i = 0; i < count; i++)
        write_raw(&raws[i], row);
    publish_row(self, node);
}

/* The slow path tries a value that failed again, and reports what is wrong with it. */
static Outcome
forgive(Outcome outcome)
{
    if (outcome == FAILED && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        return REFUSED;
    }
    return outcome;
}

/* Remember the slot of a field's value: the next one likely has the same type. */
static inline void
expect(Field *field, PyTypeObject *type, Slot *slot)
{
    field->type = takes(slot->cell, type) && slot->pack == NULL ? type : NULL;
    field->cell = slot->cell;
    field->values = slot->values.buf;
    field->validity = slot->validity.buf;
}

/* Append a row of plain numbers of the types that came last, whose code is known not to run any
   other: so nothing can change meanwhile. */
static inline Outcome
append_numbers(Buffers *self, int64_t node, const Plan *plan, PyObject *const *values)
{
    int overflow = 0;
    Py_ssize_t row = self->rows;
    if (row >= self->capacity)
        return REFUSED;
    for (Py_ssize_t i = 0; i < plan->count; i++) {
        const Field *field = &plan->fields[i];
        if (Py_TYPE(values[i]) != field->type)
            return REFUSED;
        if (field->cell == FLOAT)
            ((double *)field->values)[row] = PyFloat_AsDouble(values[i]);
        else if (field->cell == INT)
            ((int64_t *)field->values)[row] = PyLong_AsLongLongAndOverflow(values[i], &overflow);
        else
            return REFUSED;
        if (overflow)
            return REFUSED;
    }
    for (Py_ssize_t i = 0; i < plan->count; i++)
        plan->fields[i].validity[row >> 3] |= (unsigned char)(1u << (row & 7));
    publish_row(self, node);
    return DONE;
}

static Outcome
try_values(Attempt *attempt, int64_t node, Plan *plan, PyObject *const *keys,
           PyObject *const *values, Py_ssize_t count, Raw *raws)
{
    Buffers *self = attempt->buffers;
    if (attempt->row >= self->capacity)
        return REFUSED;
    for (Py_ssize_t i = 0; i < count; i++) {
        Keyed *keyed = plan ? plan->fields[i].keyed : keyed_at(self, keys[i]);
        if (keyed == NULL && !PyErr_Occurred())
            keyed = accept(self, keys[i], Py_TYPE(values[i]));
        if (keyed == NULL || keyed->count == 0)
            return PyErr_Occurred() ? FAILED : REFUSED;
        Outcome outcome = raw_of(attempt, keyed, values[i], &raws[i], 1);
        if (outcome != DONE)
            return outcome;
        if (plan)
            expect(&plan->fields[i], Py_TYPE(values[i]), raws[i].slot);
    }
    /* While a value's own code ran, this or another thread may have written this very row, copied
       an array of its own to it, or taken the table or its room away. */
    if (!is_current(attempt) || missing_in_row(raws, count))
        return REFUSED;
    write_row(self, node, raws, count);
    return DONE;
}

/* Append a row of values that are held by the caller; plan or not. */
static Outcome
append_values(FastPath *fast_path, int64_t node, Plan *plan, PyObject *const *keys,
              PyObject *const *values, Py_ssize_t count, Raw *raws)
{
    Attempt attempt = {fast_path, fast_path->buffers, ++fast_path->turn, fast_path->buffers->rows, NULL};
    Outcome outcome = try_values(&attempt, node, plan, keys, values, count, raws);
    if (attempt.held != NULL) {
        PyObject *kind, *error, *traceback; /* what a value raised */
        PyErr_Fetch(&kind, &error, &traceback);
        Py_DECREF(attempt.held);
        PyErr_Restore(kind, error, traceback);
    }
    return outcome;
}

static Outcome
append_planned(FastPath *fast_path, int64_t node, Plan *plan, PyObject *const *keys,
               PyObject *const *values, Py_ssize_t count)
{
    Raw few[FEW_FIELDS], *raws = few;
    Buffers *self = fast_path->buffers;
    if (plan && append_numbers(self, node, plan, values) == DONE) {
        fast_path->turn++;
        return DONE;
    }
    if (count > FEW_FIELDS && (raws = PyMem_Malloc((size_t)count * sizeof(Raw))) == NULL)
        return REFUSED;
    Py_INCREF((PyObject *)fast_path); /* a value's own code can let go of all three */
    Py_INCREF((PyObject *)self);
    if (plan)
        plan->users++;
    Outcome outcome = append_values(fast_path, node, plan, keys, values, count, raws);
    if (plan)
        free_plan(plan);
    if (outcome == FAILED)
        outcome = forgive(outcome);
    Py_DECREF((PyObject *)self);
    Py_DECREF((PyObject *)fast_path);
    if (raws != few)
        PyMem_Free(raws);
    return outcome;
}

/* Append the items of a dict, which is left as it is and can change meanwhile. */
static Outcome
append_dict(FastPath *fast_path, int64_t node, PyObject *fields)
{
    PyObject *few[2 * FEW_FIELDS], **keys = few;
    Py_ssize_t count = PyDict_Size(fields), position = 0, found = 0;
    if (count > FEW_FIELDS && (keys = PyMem_Malloc(2 * (size_t)count * sizeof *keys)) == NULL)
        return REFUSED;
    PyObject **values = keys + count;
    while (found < count && PyDict_Next(fields, &position, &keys[found], &values[found])) {
        Py_INCREF(keys[found]);
        Py_INCREF(values[found]);
        found++;
    }
    Plan *plan = found ? plan_for(fast_path->buffers, keys, found, NULL) : NULL;
    Outcome outcome = PyErr_Occurred() ? FAILED
                                       : append_planned(fast_path, node, plan, keys, values, found);
    for (Py_ssize_t i = 0; i < found; i++) {
        Py_DECREF(keys[i]);
        Py_DECREF(values[i]);
    }
    if (keys != few)
        PyMem_Free(keys);
    return outcome;
}

/* Append the keywords of a call. */
static inline Outcome
append_named(FastPath *fast_path, int64_t node, PyObject *const *values, PyObject *names)
{
    PyObject *few[FEW_FIELDS], **keys = few;
    Buffers *self = fast_path->buffers;
    Plan *plan = self->last;
    if (plan != NULL && plan->names == names)
        return append_planned(fast_path, node, plan, plan->keys, values, plan->count);
    Py_ssize_t count = PyTuple_Size(names);
    if (count > FEW_FIELDS && (keys = PyMem_Malloc((size_t)count * sizeof *keys)) == NULL)
        return REFUSED;
    for (Py_ssize_t i = 0; i < count; i++)
        keys[i] = PyTuple_GetItem(names, i);
    plan = plan_for(self, keys, count, names);
    Outcome outcome = PyErr_Occurred() ? FAILED
                                       : append_planned(fast_path, node, plan, keys, values, count);
    if (keys != few)
        PyMem_Free(keys);
    return outcome;
}

/* ---- what Python sees of buffers -------------------------------------------------------------- */

PyDoc_STRVAR(Buffers_write_doc,
"write(node, targets)\n--\n\n"
"Write a row to the given slots, each with the value for its cell.\n\n"
"Returns:\n    0; or what is missing: bytes of spill, NO_ROWS or NO_CELLS.\n\n"
"Raises:\n    Exception: whatever a value raised on writing; no row was added.");

static Outcome
read_targets(Buffers *self, PyObject *targets, Raw *raws)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(targets); i++) {
        PyObject *pair = PyTuple_GetItem(targets, i), *slot, *value;
        if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "O!O", SlotType, &slot, &value))
            return FAILED;
        if (!is_of_this_table(self, (Slot *)slot)) {
            PyErr_SetString(PyExc_ValueError, "a slot of another table");
            return FAILED;
        }
        if (raw_for((Slot *)slot, self->rows, value, &raws[i]) == FAILED)
            return FAILED;
    }
    self->written++;
    for (Py_ssize_t i = 0; i < PyTuple_Size(targets); i++) {
        if (raws[i].slot->taken == self->written) {
            PyErr_SetString(PyExc_ValueError, "a slot is given twice");
            return FAILED;
        }
        raws[i].slot->taken = self->written;
    }
    return DONE;
}

static PyObject *
Buffers_write(Buffers *self, PyObject *args)
{
    long long node;
    PyObject *targets;
    if (!PyArg_ParseTuple(args, "LO!", &node, &PyList_Type, &targets))
        return NULL;
    Py_ssize_t row = self->rows, missing = 0;
    if (row >= self->capacity)
        return PyLong_FromLong(NO_ROWS);
    targets = PyList_AsTuple(targets); /* which stays as it is, whatever code the values run */
    if (targets == NULL)
        return NULL;
    Py_ssize_t count = PyTuple_Size(targets);
    Raw *raws = PyMem_Malloc((size_t)(count + 1) * sizeof(Raw));
    if (raws == NULL) {
        Py_DECREF(targets);
        return PyErr_NoMemory();
    }
    Outcome outcome = read_targets(self, targets, raws);
    if (outcome == DONE && self->rows != row) {
        PyErr_SetString(PyExc_RuntimeError, "the table changed while a row was read");
        outcome = FAILED;
    }
    if (outcome == DONE && (missing = missing_in_row(raws, count)) == 0)
        write_row(self, node, raws, count);
    PyMem_Free(raws);
    Py_DECREF(targets);
    return outcome == DONE ? PyLong_FromSsize_t(missing) : NULL;
}

PyDoc_STRVAR(Buffers_add_doc,
"add(key, type, slot)\n--\n\n"
"Let values of exactly this type under a key go to a slot.\n\n"
"Raises:\n    TypeError: it does not take them, or is of another table.");

static PyObject *
Buffers_add(Buffers *self, PyObject *args)
{
    PyObject *key, *type, *slot;
    if (!PyArg_ParseTuple(args, "OOO", &key, &type, &slot) || add_slot(self, key, type, slot) < 0)
        return NULL;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(Buffers_accept_doc,
"accept(packs, reserved, most)\n--\n\n"
"Let values under new keys go to packs, by their exact types.\n\n"
"Args:\n    packs: for each type the pack.\n    reserved: a frozenset of keys that are not accepted.\n"
"    most: the number of keys that a pack accepts.");

static PyObject *
Buffers_accept(Buffers *self, PyObject *args)
{
    PyObject *packs, *reserved, *type, *pack;
    Py_ssize_t most, position = 0;
    if (!PyArg_ParseTuple(args, "O!O!n", &PyDict_Type, &packs, &PyFrozenSet_Type, &reserved, &most))
        return NULL;
    accept_nothing(self);
    while (self->accepted_count < MOST_ACCEPTED && PyDict_Next(packs, &position, &type, &pack)) {
        if (!PyType_Check(type) || !Py_IS_TYPE(pack, PackType) || !has_pack(self, (Pack *)pack) ||
            !takes(((Pack *)pack)->values->cell, (PyTypeObject *)type)) {
            PyErr_SetString(PyExc_TypeError, "expected types that packs of this table take");
            return NULL;
        }
        Py_INCREF(type);
        self->accepted[self->accepted_count++] = (Accepted){(PyTypeObject *)type, (Pack *)pack};
    }
    PyObject *old = self->reserved;
    Py_INCREF(reserved);
    self->reserved = reserved;
    self->most_keys = most;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(Buffers_add_rows_doc,
"add_rows(nodes)\n--\n\n"
"Make rows visible whose slots were filled: one for each 64-bit id in ``nodes``.\n\n"
"Raises:\n    ValueError: there is no room for them.");

static PyObject *
Buffers_add_rows(Buffers *self, PyObject *nodes)
{
    Py_buffer found;
    if (PyObject_GetBuffer(nodes, &found, PyBUF_SIMPLE) < 0)
        return NULL;
    const char *ids = found.buf;
    Py_ssize_t count = found.len / (Py_ssize_t)sizeof(int64_t);
    int fits = count <= self->capacity - self->rows;
    for (Py_ssize_t i = 0; fits && i < count; i++) {
        int64_t node;
        memcpy(&node, ids + i * (Py_ssize_t)sizeof node, sizeof node);
        PUBLISH(&self->nodes[self->rows], node);
        self->rows++;
    }
    PyBuffer_Release(&found);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "there is no room for %zd rows", count);
    Py_RETURN_NONE;
}

static PyObject *
Buffers_get_rows(Buffers *self, void *closure)
{
    return PyLong_FromSsize_t(self->rows);
}

static PyObject *
Buffers_get_capacity(Buffers *self, void *closure)
{
    return PyLong_FromSsize_t(self->capacity);
}

static PyMethodDef Buffers_methods[] = {
    {"write", (PyCFunction)Buffers_write, METH_VARARGS, Buffers_write_doc},
    {"add", (PyCFunction)Buffers_add, METH_VARARGS, Buffers_add_doc},
    {"accept", (PyCFunction)Buffers_accept, METH_VARARGS, Buffers_accept_doc},
    {"add_rows", (PyCFunction)Buffers_add_rows, METH_O, Buffers_add_rows_doc},
    {NULL},
};

static PyGetSetDef Buffers_getset[] = {
    {"rows", (getter)Buffers_get_rows, NULL, "Number of rows written.", NULL},
    {"capacity", (getter)Buffers_get_capacity, NULL, "Number of rows there is room for.", NULL},
    {NULL},
};

PyDoc_STRVAR(Buffers_doc,
"Buffers(nodes, direct, converters, packs=())\n--\n\n"
"The writable side of one live table: the ``_node`` of every row, for a key and the exact type of\n"
"a value the slot that takes it, what makes plain values of other types, and the packs of the slots.");

static PyType_Slot Buffers_slots[] = {
    {Py_tp_new, Buffers_new},       {Py_tp_dealloc, Buffers_dealloc},
    {Py_tp_methods, Buffers_methods}, {Py_tp_getset, Buffers_getset},
    {Py_tp_doc, (void *)Buffers_doc}, {0, NULL},
};

static PyType_Spec Buffers_spec = {"rigorous_recorder._live.native.Buffers", sizeof(Buffers), 0,
                                   Py_TPFLAGS_DEFAULT, Buffers_slots};

/* ---- what Python sees of a fast path --------------------------------------------------------------- */

static PyObject *
FastPath_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    return PyType_GenericAlloc(type, 0);
}

static void
FastPath_dealloc(FastPath *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_XDECREF((PyObject *)self->buffers);
    PyObject_Free(self);
    Py_DECREF((PyObject *)type);
}

static PyObject *
FastPath_get_buffers(FastPath *self, void *closure)
{
    PyObject *found = self->buffers ? (PyObject *)self->buffers : Py_None;
    Py_INCREF(found);
    return found;
}

static int
FastPath_set_buffers(FastPath *self, PyObject *value, void *closure)
{
    if (value != Py_None && (value == NULL || !Py_IS_TYPE(value, BuffersType))) {
        PyErr_SetString(PyExc_TypeError, "a fast path leads to buffers or to None");
        return -1;
    }
    Buffers *old = self->buffers;
    self->turn++;
    self->buffers = value == Py_None ? NULL : (Buffers *)value;
    Py_XINCREF((PyObject *)self->buffers);
    Py_XDECREF((PyObject *)old);
    return 0;
}

PyDoc_STRVAR(FastPath_append_doc,
"append(node, fields)\n--\n\n"
"Append a row directly, without a lock; False if that is not possible.");

static PyObject *
FastPath_append(FastPath *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "append takes 2 arguments, not %zd", count);
    long long node = PyLong_AsLongLong(args[0]);
    if (node == -1 && PyErr_Occurred())
        return NULL;
    if (self->buffers == NULL || !PyDict_CheckExact(args[1]))
        Py_RETURN_FALSE;
    Outcome outcome = append_dict(self, node, args[1]);
    return outcome == FAILED ? NULL : PyBool_FromLong(outcome == DONE);
}

static PyMethodDef FastPath_methods[] = {
    {"append", (PyCFunction)(void (*)(void))FastPath_append, METH_FASTCALL, FastPath_append_doc},
    {NULL},
};

static PyGetSetDef FastPath_getset[] = {
    {"buffers", (getter)FastPath_get_buffers, (setter)FastPath_set_buffers,
     "The target of rows; None while it is closed.", NULL},
    {NULL},
};

PyDoc_STRVAR(FastPath_doc,
"FastPath()\n--\n\n"
"Appends rows directly; closed before a table changes.");

static PyType_Slot FastPath_slots[] = {
    {Py_tp_new, FastPath_new},         {Py_tp_dealloc, FastPath_dealloc}, {Py_tp_methods, FastPath_methods},
    {Py_tp_getset, FastPath_getset},   {Py_tp_doc, (void *)FastPath_doc}, {0, NULL},
};

static PyType_Spec FastPath_spec = {"rigorous_recorder._live.native.FastPath", sizeof(FastPath), 0,
                                Py_TPFLAGS_DEFAULT, FastPath_slots};

/* ---- pusher: the base of a recorder ----------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    FastPath *fast_path; /* NULL: not in a store yet */
    int64_t node;
    PyObject *pending; /* dict of what was added; NULL if nothing was */
} Pusher;

static int
Pusher_traverse(Pusher *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->fast_path);
    Py_VISIT(self->pending);
    return 0;
}

static int
Pusher_clear(Pusher *self)
{
    Py_CLEAR(self->fast_path);
    Py_CLEAR(self->pending);
    return 0;
}

static void
Pusher_dealloc(Pusher *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    Pusher_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF((PyObject *)type);
}

/* Keywords of a call as a dict. */
static PyObject *
dict_of(PyObject *const *values, PyObject *names)
{
    PyObject *fields = PyDict_New();
    Py_ssize_t count = names ? PyTuple_Size(names) : 0;
    for (Py_ssize_t i = 0; fields && i < count; i++) {
        if (PyDict_SetItem(fields, PyTuple_GetItem(names, i), values[i]) < 0)
            Py_CLEAR(fields);
    }
    return fields;
}

/* Leave a call to the method of that name, which takes the mapping and the keywords. */
static PyObject *
call_slowly(PyObject *self, PyObject *name, PyObject *const *args, Py_ssize_t count,
            PyObject *names)
{
    if (count > 1)
        return PyErr_Format(PyExc_TypeError,
                            "takes one mapping and keywords, but %zd positional arguments were given",
                            count);
    PyObject *fields = dict_of(args + count, names);
    if (fields == NULL)
        return NULL;
    PyObject *data = count ? args[0] : Py_None;
    PyObject *found = PyObject_CallMethodObjArgs(self, name, data, fields, NULL);
    Py_DECREF(fields);
    return found;
}

static PyObject *
itself(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

PyDoc_STRVAR(Pusher_push_doc,
"push($self, data=None, /, **fields)\n--\n\n"
"Log a record: these fields, and those passed to ``add`` since the last one.\n\n"
"When this returns, the record survives the death of the process.\n\n"
"Raises:\n"
"    TypeError, ValueError: a key is not text, or a value can't be stored; nothing is logged.\n"
"    ClosedError: the collection was closed.");

static PyObject *
Pusher_push(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Pusher *self = (Pusher *)object;
    Outcome outcome = REFUSED;
    if (self->fast_path != NULL && self->fast_path->buffers != NULL && self->pending == NULL) {
        if (count == 0 && names != NULL && PyTuple_Size(names) > 0)
            outcome = append_named(self->fast_path, self->node, args, names);
        else if (count == 1 && names == NULL && PyDict_CheckExact(args[0]))
            outcome = append_dict(self->fast_path, self->node, args[0]);
    }
    if (outcome == DONE)
        return itself(object);
    return outcome == FAILED ? NULL : call_slowly(object, str_push_slowly, args, count, names);
}

PyDoc_STRVAR(Pusher_commit_doc,
"commit($self, /)\n--\n\n"
"Log the added fields as one record.");

static PyObject *
Pusher_commit(PyObject *object, PyObject *unused)
{
    Pusher *self = (Pusher *)object;
    if (self->fast_path == NULL || self->fast_path->buffers == NULL || self->pending == NULL)
        return call_slowly(object, str_push_slowly, NULL, 0, NULL);
    PyObject *pending = itself(self->pending);
    Outcome outcome = append_dict(self->fast_path, self->node, pending);
    if (outcome == DONE && self->pending == pending)
        Py_CLEAR(self->pending);
    Py_DECREF(pending);
    if (outcome == DONE)
        return itself(object);
    return outcome == FAILED ? NULL : call_slowly(object, str_push_slowly, NULL, 0, NULL);
}

/* Whether a value is stored without conversion, and is immutable. */
static int
is_plain(PyObject *value)
{
    int overflow = 0;
    Py_ssize_t size;
    if (PyFloat_CheckExact(value) || PyBool_Check(value) || value == Py_None ||
        PyBytes_CheckExact(value))
        return 1;
    if (PyLong_CheckExact(value)) {
        PyLong_AsLongLongAndOverflow(value, &overflow);
        return !overflow;
    }
    return PyUnicode_CheckExact(value) && PyUnicode_AsUTF8AndSize(value, &size) != NULL;
}

/* Add items that are all plain to the pending fields; REFUSED if one is not. */
static Outcome
add_plain(Pusher *self, PyObject *const *keys, PyObject *const *values, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyUnicode_CheckExact(keys[i]) || !is_plain(keys[i]) || !is_plain(values[i])) {
            PyErr_Clear(); /* text that can't be encoded */
            return REFUSED;
        }
    }
    if (self->pending == NULL && (self->pending = PyDict_New()) == NULL)
        return FAILED;
    PyObject *pending = itself(self->pending); /* a value that goes can run code, and commit */
    Outcome outcome = DONE;
    for (Py_ssize_t i = 0; i < count && outcome == DONE; i++) {
        if (PyDict_SetItem(pending, keys[i], values[i]) < 0)
            outcome = FAILED;
    }
    int is_gone = self->pending != pending;
    Py_DECREF(pending);
    return outcome == DONE && is_gone ? add_plain(self, keys, values, count) : outcome;
}

PyDoc_STRVAR(Pusher_add_doc,
"add($self, data=None, /, **fields)\n--\n\n"
"Add fields to the record that the next ``commit`` or ``push`` logs.\n\n"
"Raises:\n"
"    TypeError, ValueError: a key is not text, or a value can't be stored; nothing is added.");

static PyObject *
Pusher_add(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Pusher *self = (Pusher *)object;
    PyObject *keys[FEW_FIELDS], *values[FEW_FIELDS];
    Py_ssize_t position = 0, found = 0, named = names ? PyTuple_Size(names) : 0;
    Outcome outcome = REFUSED;
    if (count == 0 && named > 0 && named <= FEW_FIELDS) {
        for (; found < named; found++)
            keys[found] = PyTuple_GetItem(names, found);
        outcome = add_plain(self, keys, args, named);
    }
    else if (count == 1 && named == 0 && PyDict_CheckExact(args[0]) &&
             PyDict_Size(args[0]) <= FEW_FIELDS && PyDict_Size(args[0]) > 0) {
        while (PyDict_Next(args[0], &position, &keys[found], &values[found])) {
            Py_INCREF(keys[found]); /* code that runs meanwhile can change the dict */
            Py_INCREF(values[found]);
            found++;
        }
        outcome = add_plain(self, keys, values, found);
        for (Py_ssize_t i = 0; i < found; i++) {
            Py_DECREF(keys[i]);
            Py_DECREF(values[i]);
        }
    }
    if (outcome == DONE)
        return itself(object);
    return outcome == FAILED ? NULL : call_slowly(object, str_add_slowly, args, count, names);
}

static PyObject *
Pusher_get_fast_path(Pusher *self, void *closure)
{
    return itself(self->fast_path ? (PyObject *)self->fast_path : Py_None);
}

static int
Pusher_set_fast_path(Pusher *self, PyObject *value, void *closure)
{
    if (value != Py_None && (value == NULL || !Py_IS_TYPE(value, FastPathType))) {
        PyErr_SetString(PyExc_TypeError, "expected a FastPath or None");
        return -1;
    }
    FastPath *old = self->fast_path;
    self->fast_path = value == Py_None ? NULL : (FastPath *)itself(value);
    Py_XDECREF((PyObject *)old);
    return 0;
}

static PyObject *
Pusher_get_pending(Pusher *self, void *closure)
{
    return self->pending ? itself(self->pending) : PyDict_New();
}

static int
Pusher_set_pending(Pusher *self, PyObject *value, void *closure)
{
    if (value == NULL || !PyDict_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "expected a dict");
        return -1;
    }
    PyObject *old = self->pending;
    self->pending = PyDict_Size(value) ? itself(value) : NULL;
    Py_XDECREF(old);
    return 0;
}

static PyMethodDef Pusher_methods[] = {
    {"push", (PyCFunction)(void (*)(void))Pusher_push, METH_FASTCALL | METH_KEYWORDS,
     Pusher_push_doc},
    {"add", (PyCFunction)(void (*)(void))Pusher_add, METH_FASTCALL | METH_KEYWORDS, Pusher_add_doc},
    {"commit", Pusher_commit, METH_NOARGS, Pusher_commit_doc},
    {NULL},
};

static PyMemberDef Pusher_members[] = {
    {"_node", T_LONGLONG, offsetof(Pusher, node), 0, "Id of the node in its store."},
    {NULL},
};

static PyGetSetDef Pusher_getset[] = {
    {"_fast_path", (getter)Pusher_get_fast_path, (setter)Pusher_set_fast_path,
     "The target of the records; None until there is a store.", NULL},
    {"_pending", (getter)Pusher_get_pending, (setter)Pusher_set_pending,
     "The fields that were added and are not committed yet.", NULL},
    {NULL},
};

PyDoc_STRVAR(Pusher_doc,
"Logs records of a node; what the fast path can't do goes to methods of a subclass.");

static PyType_Slot Pusher_slots[] = {
    {Py_tp_dealloc, Pusher_dealloc}, {Py_tp_traverse, Pusher_traverse},
    {Py_tp_clear, Pusher_clear},     {Py_tp_methods, Pusher_methods},
    {Py_tp_members, Pusher_members}, {Py_tp_getset, Pusher_getset},
    {Py_tp_doc, (void *)Pusher_doc}, {0, NULL},
};

static PyType_Spec Pusher_spec = {
    "rigorous_recorder._live.native.Pusher", sizeof(Pusher), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, Pusher_slots};

/* ---- module ----------------------------------------------------------------------------------- */

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "native", "The native backend of ``pure``.", -1, NULL,
};

static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type, const char *name)
{
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    if (*type == NULL)
        return -1;
    Py_INCREF((PyObject *)*type); /* the module can go; the instances' methods can't do without */
    return name ? PyModule_AddObjectRef(module, name, (PyObject *)*type) : 0;
}

PyMODINIT_FUNC
PyInit_native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    str_push_slowly = PyUnicode_InternFromString("_push_slowly");
    str_add_slowly = PyUnicode_InternFromString("_add_slowly");
    if (str_push_slowly == NULL || str_add_slowly == NULL ||
        add_type(module, &Slot_spec, &SlotType, "Slot") < 0 ||
        add_type(module, &Pack_spec, &PackType, "Pack") < 0 ||
        add_type(module, &Keyed_spec, &KeyedType, NULL) < 0 ||
        add_type(module, &Buffers_spec, &BuffersType, "Buffers") < 0 ||
        add_type(module, &FastPath_spec, &FastPathType, "FastPath") < 0 ||
        add_type(module, &Pusher_spec, &PusherType, "Pusher") < 0 ||
        PyModule_AddIntConstant(module, "NO_ROWS", NO_ROWS) < 0 ||
        PyModule_AddIntConstant(module, "NO_CELLS", NO_CELLS) < 0 ||
        PyObject_SetAttrString((PyObject *)FastPathType, "is_atomic", Py_True) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
