/* The native backend of pure.py: rows of one node as dicts, of which few are made.

   A loop over rows mostly looks at each and lets it go. A row that is no longer referenced is therefore
   given again, with the next values in place of those that were: as `zip` does with its tuples. The
   loop still holds the last row when it asks for the next, so two take turns. The same goes for a
   float that nothing but such a row refers to: it gets the next value, which takes no look into the
   dict and no memory. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

static PyTypeObject *RowsType;

/* ---- a dict that knows None of what it has not ------------------------------------------------ */

/* A dict's own way to subclasses' items is that of a method, several times as slow. */
static PyObject *
Known_subscript(PyObject *self, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(self, key);
    if (value == NULL && PyErr_Occurred())
        return NULL;
    return Py_NewRef(value ? value : Py_None);
}

static PyObject *
Known_missing(PyObject *self, PyObject *key)
{
    return Py_NewRef(Py_None);
}

static PyMethodDef Known_methods[] = {
    {"__missing__", Known_missing, METH_O, NULL},
    {NULL},
};

PyDoc_STRVAR(Known_doc, "A dict in which a missing key reads as None.");

static PyType_Slot Known_slots[] = {
    {Py_mp_subscript, Known_subscript},
    {Py_tp_methods, Known_methods},
    {Py_tp_doc, (void *)Known_doc},
    {0, NULL},
};

static PyType_Spec Known_spec = {
    "rigorous_recorder._rows.native.Known", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    Known_slots};

/* ---- copies of what can be changed ------------------------------------------------------------ */

static PyObject *fresh(PyObject *);

static PyObject *
fresh_dict(PyObject *value)
{
    PyObject *key, *each, *copy = PyDict_Copy(value);
    Py_ssize_t position = 0;
    /* The values of a dict may be replaced while it is walked, its keys may not. */
    while (copy != NULL && PyDict_Next(copy, &position, &key, &each)) {
        PyObject *made = fresh(each);
        if (made == NULL || (made != each && PyDict_SetItem(copy, key, made) < 0))
            Py_CLEAR(copy);
        Py_XDECREF(made);
    }
    return copy;
}

static PyObject *
fresh_list(PyObject *value)
{
    PyObject *copy = PyList_GetSlice(value, 0, PyList_Size(value));
    for (Py_ssize_t i = 0; copy != NULL && i < PyList_Size(copy); i++) {
        PyObject *made = fresh(PyList_GetItem(copy, i));
        if (made == NULL || PyList_SetItem(copy, i, made) < 0)
            Py_CLEAR(copy);
    }
    return copy;
}

/* A deep copy; immutable values are returned as they are. A new reference. */
static PyObject *
fresh(PyObject *value)
{
    if (value == Py_None || PyUnicode_CheckExact(value) || PyFloat_CheckExact(value) ||
        PyLong_CheckExact(value) || PyBool_Check(value))
        return Py_NewRef(value);
    if (!PyDict_CheckExact(value) && !PyList_CheckExact(value))
        return PyObject_HasAttrString(value, "__array_interface__")
                   ? PyObject_CallMethod(value, "copy", NULL)
                   : Py_NewRef(value);
    if (Py_EnterRecursiveCall(" to copy a value"))
        return NULL;
    PyObject *copy = PyDict_CheckExact(value) ? fresh_dict(value) : fresh_list(value);
    Py_LeaveRecursiveCall();
    return copy;
}

PyDoc_STRVAR(fresh_doc,
"fresh(value, /)\n--\n\n"
"A deep copy of a dict, a list or an array.\n\n"
"Other values are immutable, and returned as they are.");

static PyObject *
fresh_of(PyObject *module, PyObject *value)
{
    return fresh(value);
}

/* ---- the values of one key -------------------------------------------------------------------- */

typedef struct {
    PyObject *key;
    PyObject *list;   /* its values, or NULL and */
    Py_buffer buffer; /* the bytes of them, */
    char format;      /* each an int64_t ('q'), a double ('d') or a bool of one byte ('?') */
} Values;

static int
values_from(Values *self, PyObject *key, PyObject *column, Py_ssize_t stop)
{
    self->key = Py_NewRef(key);
    if (PyList_Check(column)) {
        self->list = Py_NewRef(column);
        return 0;
    }
    if (PyObject_GetBuffer(column, &self->buffer, PyBUF_CONTIG_RO | PyBUF_FORMAT) < 0)
        return -1;
    const char *format = self->buffer.format ? self->buffer.format : "B";
    self->format = format[0];
    Py_ssize_t size = self->format == '?' ? 1 : 8;
    if (format[0] == '\0' || format[1] != '\0' || strchr("qd?", format[0]) == NULL) {
        PyErr_Format(PyExc_ValueError, "there are no values of the format %s", format);
        return -1;
    }
    if (self->buffer.len / size < stop) {
        PyErr_SetString(PyExc_ValueError, "a column ends before the last row");
        return -1;
    }
    return 0;
}

static inline double
real_at(const Values *self, Py_ssize_t row)
{
    double real;
    memcpy(&real, (const char *)self->buffer.buf + 8 * row, 8);
    return real;
}

/* Whether a value equals another one: all alike have the same type. */
static inline int
is_same(const Values *self, Py_ssize_t row, Py_ssize_t other)
{
    if (self->list)
        return 0;
    Py_ssize_t size = self->format == '?' ? 1 : 8;
    const char *bytes = self->buffer.buf;
    return memcmp(bytes + size * row, bytes + size * other, (size_t)size) == 0;
}

/* A new reference. */
static PyObject *
value_at(const Values *self, Py_ssize_t row)
{
    if (self->list)
        return Py_XNewRef(PyList_GetItem(self->list, row));
    const char *bytes = self->buffer.buf;
    if (self->format == 'd')
        return PyFloat_FromDouble(real_at(self, row));
    if (self->format == 'q') {
        int64_t number;
        memcpy(&number, bytes + 8 * row, 8);
        return PyLong_FromLongLong(number);
    }
    return PyBool_FromLong(bytes[row]);
}

/* ---- floats with the next value ---------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    double real;
} Float;

/* Whether this Python's floats are of this form: known when the module is imported. */
static int floats_can_change = 0;

static int
learn_floats(void)
{
    PyObject *value = PyFloat_FromDouble(0.5);
    if (value == NULL)
        return -1;
    if (((Float *)value)->real == 0.5) {
        ((Float *)value)->real = 0.25;
        floats_can_change = PyFloat_AsDouble(value) == 0.25;
    }
    Py_DECREF(value);
    return 0;
}

/* ---- the rows of one node --------------------------------------------------------------------- */

/* A row that was given. */
typedef struct {
    PyObject *row;
    PyObject **floats; /* for each column the float in the row that was made for it, or NULL */
    Py_ssize_t at;     /* whose values the row has */
} Given;

typedef struct {
    PyObject_HEAD
    PyObject *copy;
    PyObject *base;
    PyObject *mutable; /* tuple of the keys of the base whose values each row has of its own */
    Given given[2]; /* what was given last, and before it */
    int has_gaps;
    Py_ssize_t next, stop;
    Py_ssize_t size; /* of the base */
    Py_ssize_t mutables;
    Py_ssize_t count; /* of the columns */
    Values *columns;
} Rows;

/* Let go of a row, with what others may still refer to. */
static void
let_go(const Rows *self, Given *given)
{
    for (Py_ssize_t i = 0; given->floats && i < self->count; i++)
        Py_CLEAR(given->floats[i]);
    Py_CLEAR(given->row);
}

static void
free_given(const Rows *self, Given *given)
{
    let_go(self, given);
    PyMem_Free(given->floats);
    given->floats = NULL;
}

static int
Rows_traverse(PyObject *object, visitproc visit, void *arg)
{
    Rows *self = (Rows *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->copy);
    Py_VISIT(self->base);
    Py_VISIT(self->mutable);
    Py_VISIT(self->given[0].row);
    Py_VISIT(self->given[1].row);
    for (Py_ssize_t i = 0; i < self->count; i++)
        Py_VISIT(self->columns[i].list);
    return 0;
}

static int
Rows_clear(PyObject *object)
{
    Rows *self = (Rows *)object;
    self->next = self->stop; /* without a base there is no other row */
    Py_CLEAR(self->copy);
    Py_CLEAR(self->base);
    Py_CLEAR(self->mutable);
    let_go(self, &self->given[0]);
    let_go(self, &self->given[1]);
    return 0;
}

static void
Rows_dealloc(PyObject *object)
{
    Rows *self = (Rows *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    (void)Rows_clear(object);
    PyMem_Free(self->given[0].floats);
    PyMem_Free(self->given[1].floats);
    for (Py_ssize_t i = 0; i < self->count; i++) {
        Py_XDECREF(self->columns[i].key);
        Py_XDECREF(self->columns[i].list);
        PyBuffer_Release(&self->columns[i].buffer);
    }
    PyMem_Free(self->columns);
    PyObject_GC_Del(object);
    Py_DECREF((PyObject *)type);
}

/* Put copies in the place of what all rows of a node would share. */
static int
freshen(const Rows *self, PyObject *row)
{
    for (Py_ssize_t i = 0; i < self->mutables; i++) {
        PyObject *key = PyTuple_GetItem(self->mutable, i);
        PyObject *value = PyDict_GetItemWithError(self->base, key);
        PyObject *made = value ? fresh(value) : NULL;
        int failed = made == NULL || PyDict_SetItem(row, key, made) < 0;
        Py_XDECREF(made);
        if (failed && !PyErr_Occurred())
            PyErr_SetObject(PyExc_KeyError, key);
        if (failed)
            return -1;
    }
    return 0;
}

/* Put the value of a column into a row; of a float a reference stays with what is given. */
static int
put(const Rows *self, Given *given, Py_ssize_t column, Py_ssize_t at)
{
    const Values *values = &self->columns[column];
    PyObject *value = value_at(values, at);
    if (value == NULL)
        return -1;
    int failed = 0;
    if (!self->has_gaps || value != Py_None)
        failed = PyDict_SetItem(given->row, values->key, value);
    if (!failed && given->floats && values->format == 'd') {
        PyObject *before = given->floats[column];
        given->floats[column] = value;
        Py_XDECREF(before);
    }
    else {
        Py_DECREF(value);
    }
    return failed ? -1 : 0;
}

/* Put the values of a row in place of those that it had, if it had any. */
static int
fill(const Rows *self, Given *given, Py_ssize_t at)
{
    Py_ssize_t before = given->at;
    given->at = -1;
    for (Py_ssize_t i = 0; i < self->count; i++) {
        PyObject *old = given->floats ? given->floats[i] : NULL;
        if (old != NULL && Py_REFCNT(old) == 2) /* that of the row and this one */
            ((Float *)old)->real = real_at(&self->columns[i], at);
        else if (before >= 0 && is_same(&self->columns[i], at, before))
            continue;
        else if (put(self, given, i, at) < 0)
            return -1;
    }
    given->at = at;
    return 0;
}

/* Whether a row has no other references, and no other items: `eval(text, row)`, for one, adds to it. */
static int
is_free(const Rows *self, PyObject *row)
{
    return row != NULL && Py_REFCNT(row) == 1 && PyDict_Size(row) == self->size;
}

/* Make a row without values of its own. */
static int
renew(const Rows *self, Given *given)
{
    let_go(self, given);
    given->at = -1;
    if (!self->has_gaps && floats_can_change && given->floats == NULL) {
        given->floats = PyMem_Calloc((size_t)self->count + 1, sizeof(PyObject *));
        if (given->floats == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    given->row = PyObject_CallFunctionObjArgs(self->copy, self->base, NULL);
    if (given->row != NULL && !PyDict_Check(given->row)) {
        PyErr_SetString(PyExc_TypeError, "a row must be a dict");
        Py_CLEAR(given->row);
    }
    return given->row == NULL ? -1 : 0;
}

static PyObject *
next_row(Rows *self)
{
    if (self->next >= self->stop)
        return NULL;
    Py_ssize_t at = self->next++;
    /* Out of its place meanwhile: what is freed here can run code, and that can ask for a row. */
    Given given = self->given[at & 1];
    self->given[at & 1] = (Given){NULL, NULL, -1};
    if ((!is_free(self, given.row) && renew(self, &given) < 0) || freshen(self, given.row) < 0 ||
        fill(self, &given, at) < 0) {
        free_given(self, &given);
        return NULL;
    }
    PyObject *row = Py_NewRef(given.row);
    if (self->has_gaps || self->given[at & 1].row != NULL)
        free_given(self, &given);
    else
        self->given[at & 1] = given;
    return row;
}

static PyObject *
Rows_next(PyObject *object)
{
    /* Code that runs meanwhile can ask `itertools.chain` for so many rows that it lets go of this. */
    Py_INCREF(object);
    PyObject *row = next_row((Rows *)object);
    Py_DECREF(object);
    return row;
}

static PyType_Slot Rows_slots[] = {
    {Py_tp_dealloc, Rows_dealloc}, {Py_tp_traverse, Rows_traverse}, {Py_tp_clear, Rows_clear},
    {Py_tp_iter, PyObject_SelfIter}, {Py_tp_iternext, Rows_next}, {0, NULL},
};

static PyType_Spec Rows_spec = {
    "rigorous_recorder._rows.native.Rows", sizeof(Rows), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, Rows_slots};

/* What every row of a node has: with a place for what each has of its own, if each has. */
static PyObject *
base_of(PyObject *known, PyObject *keys, int has_gaps)
{
    PyObject *base = PyDict_Copy(known);
    for (Py_ssize_t i = 0; base && !has_gaps && i < PyTuple_Size(keys); i++) {
        if (PyDict_SetItem(base, PyTuple_GetItem(keys, i), Py_None) < 0)
            Py_CLEAR(base);
    }
    return base;
}

PyDoc_STRVAR(rows_of_node_doc,
"rows_of_node(copy, base, keys, columns, start, stop, has_gaps, mutable=(), /)\n--\n\n"
"The rows from ``start`` to ``stop``: copies of a dict with further values.");

static PyObject *
rows_of_node(PyObject *module, PyObject *args)
{
    PyObject *copy, *known, *keys, *columns, *mutable = NULL;
    Py_ssize_t start, stop;
    int has_gaps;
    if (!PyArg_ParseTuple(args, "OO!O!O!nnp|O!", &copy, &PyDict_Type, &known, &PyTuple_Type, &keys,
                          &PyTuple_Type, &columns, &start, &stop, &has_gaps, &PyTuple_Type,
                          &mutable))
        return NULL;
    Py_ssize_t count = PyTuple_Size(keys);
    if (start < 0 || PyTuple_Size(columns) != count) {
        PyErr_SetString(PyExc_ValueError, "expected a column for each key, and rows from 0 on");
        return NULL;
    }
    Rows *self = (Rows *)PyType_GenericAlloc(RowsType, 0);
    if (self == NULL)
        return NULL;
    self->copy = Py_NewRef(copy);
    self->base = base_of(known, keys, has_gaps);
    self->size = self->base ? PyDict_Size(self->base) : 0;
    self->mutable = mutable ? Py_NewRef(mutable) : PyTuple_New(0);
    self->mutables = mutable ? PyTuple_Size(mutable) : 0;
    self->has_gaps = has_gaps;
    self->next = start;
    self->stop = stop;
    self->columns = PyMem_Calloc((size_t)count + 1, sizeof(Values));
    if (self->columns == NULL)
        PyErr_NoMemory();
    if (self->base == NULL || self->columns == NULL || self->mutable == NULL)
        goto failed;
    while (self->count < count) {
        Py_ssize_t i = self->count++;
        if (values_from(&self->columns[i], PyTuple_GetItem(keys, i), PyTuple_GetItem(columns, i),
                        stop) < 0)
            goto failed;
    }
    return (PyObject *)self;
failed:
    Py_DECREF((PyObject *)self);
    return NULL;
}

/* ---- module ----------------------------------------------------------------------------------- */

static PyMethodDef functions[] = {
    {"fresh", fresh_of, METH_O, fresh_doc},
    {"rows_of_node", rows_of_node, METH_VARARGS, rows_of_node_doc},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "native", "The native backend of ``pure``.", -1, functions,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    RowsType = (PyTypeObject *)PyType_FromSpec(&Rows_spec);
    PyObject *known = PyType_FromSpecWithBases(&Known_spec, (PyObject *)&PyDict_Type);
    if (learn_floats() < 0 || RowsType == NULL || known == NULL || PyModule_AddObjectRef(module, "Known", known) < 0)
        Py_CLEAR(module);
    Py_XDECREF(known);
    return module;
}
