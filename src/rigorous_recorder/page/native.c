/* The native backend of kernels.py: passes over all points of a line, of which numpy would need
   many. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- lows and highs ---------------------------------------------------------------------------- */

typedef struct {
    const double *y;
    Py_ssize_t low, high;
    double lowest, highest;
} Ends;

static inline void
look(Ends *ends, Py_ssize_t at)
{
    double value = ends->y[at];
    if (value < ends->lowest) {
        ends->lowest = value;
        ends->low = at;
    }
    if (value > ends->highest) {
        ends->highest = value;
        ends->high = at;
    }
}

static void
find_ends(Ends *ends, Py_ssize_t start, Py_ssize_t stop, const int32_t *lows, const int32_t *highs,
          Py_ssize_t size)
{
    Py_ssize_t at = start;
    ends->low = ends->high = start;
    ends->lowest = ends->highest = ends->y[start];
    if (lows) {
        Py_ssize_t first = (start + size - 1) / size, last = stop / size;
        if (first < last) {
            for (; at < first * size; at++)
                look(ends, at);
            for (Py_ssize_t block = first; block < last; block++) {
                look(ends, lows[block]);
                look(ends, highs[block]);
            }
            at = last * size;
        }
    }
    for (; at < stop; at++)
        look(ends, at);
}

PyDoc_STRVAR(ends_doc, "See ``kernels.ends``.");

static PyObject *
ends(PyObject *module, PyObject *arguments)
{
    Py_buffer y, starts, lows, highs, low, high;
    Py_ssize_t stop, size;
    if (!PyArg_ParseTuple(arguments, "y*y*nz*z*nw*w*:ends", &y, &starts, &stop, &lows, &highs,
                          &size, &low, &high))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t count = starts.len / 8;
    const int64_t *start = starts.buf;
    bool is_wrong = low.len < starts.len || high.len < starts.len || stop > y.len / 8 || size < 1;
    for (Py_ssize_t k = 0; k < count && !is_wrong; k++)
        is_wrong = start[k] < 0 || start[k] >= (k + 1 < count ? start[k + 1] : stop);
    if (is_wrong) {
        PyErr_SetString(PyExc_ValueError, "parts are outside of the values, or empty");
        goto done;
    }
    if (lows.buf && (lows.len / 4 < stop / size || highs.len / 4 < stop / size)) {
        PyErr_SetString(PyExc_ValueError, "too few blocks");
        goto done;
    }
    Ends found = {.y = y.buf};
    int64_t *at_low = low.buf, *at_high = high.buf;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t k = 0; k < count; k++) {
        find_ends(&found, start[k], k + 1 < count ? start[k + 1] : stop, lows.buf, highs.buf, size);
        at_low[k] = found.low;
        at_high[k] = found.high;
    }
    Py_END_ALLOW_THREADS
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&y);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&lows);
    PyBuffer_Release(&highs);
    PyBuffer_Release(&low);
    PyBuffer_Release(&high);
    return result;
}

/* ---- smoothing --------------------------------------------------------------------------------- */

/* See ``kernels.State``. */
typedef struct {
    double norm, average, last, low, high;
} State;

static inline double
least(double a, double b)
{
    return a < b ? a : b;
}

static inline double
most(double a, double b)
{
    return a > b ? a : b;
}

/* No average is outside of the values until then, as rounding could have it. */
static inline double
within(double low, double high, double value)
{
    return most(least(value, high), low);
}

static void
smooth_even(State *state, const double *y, double *out, Py_ssize_t count, double weight)
{
    Py_ssize_t i = 0;
    double norm = state->norm, s = state->average, low = state->low, high = state->high;
    for (double before = -1; i < count && norm != before; i++) {
        before = norm;
        norm = weight * norm + 1;
        double part = 1 / norm;
        s = (1 - part) * s + part * y[i];
        low = least(low, y[i]);
        high = most(high, y[i]);
        out[i] = within(low, high, s);
    }
    /* From here on the weights are the same. Four at once: each step would wait for the one before. */
    double part = 1 / norm, w = 1 - part, w2 = w * w, w3 = w2 * w, w4 = w2 * w2;
    for (; i + 4 <= count; i += 4) {
        double y0 = y[i], y1 = y[i + 1], y2 = y[i + 2], y3 = y[i + 3];
        double a = part * y0, b = w * a + part * y1, c = w * b + part * y2, d = w * c + part * y3;
        low = least(low, least(least(y0, y1), least(y2, y3)));
        high = most(high, most(most(y0, y1), most(y2, y3)));
        out[i] = within(low, high, w * s + a);
        out[i + 1] = within(low, high, w2 * s + b);
        out[i + 2] = within(low, high, w3 * s + c);
        s = w4 * s + d;
        out[i + 3] = within(low, high, s);
    }
    for (; i < count; i++) {
        s = w * s + part * y[i];
        low = least(low, y[i]);
        high = most(high, y[i]);
        out[i] = within(low, high, s);
    }
    *state = (State){norm, s, state->last, low, high};
}

static void
smooth_uneven(State *state, const double *y, const double *x, double *out, Py_ssize_t count,
              double rate)
{
    double norm = state->norm, s = state->average, low = state->low, high = state->high;
    double last = norm > 0 ? state->last : x[0], distance = 0, fade = 1;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (x[i] - last != distance) {
            distance = x[i] - last;
            fade = exp(-rate * distance);
        }
        last = x[i];
        norm = fade * norm + 1;
        double part = 1 / norm;
        s = (1 - part) * s + part * y[i];
        low = least(low, y[i]);
        high = most(high, y[i]);
        out[i] = within(low, high, s);
    }
    *state = (State){norm, s, last, low, high};
}

PyDoc_STRVAR(smooth_doc, "See ``kernels.smooth``.");

static PyObject *
smooth(PyObject *module, PyObject *arguments)
{
    Py_buffer y, x, out, state;
    double weight, rate;
    if (!PyArg_ParseTuple(arguments, "y*z*w*w*dd:smooth", &y, &x, &out, &state, &weight, &rate))
        return NULL;
    PyObject *result = NULL;
    Py_ssize_t count = y.len / 8;
    if (out.len < y.len || (x.buf && x.len < y.len) || state.len < (Py_ssize_t)sizeof(State)) {
        PyErr_SetString(PyExc_ValueError, "arrays of different lengths");
        goto done;
    }
    if (count) {
        Py_BEGIN_ALLOW_THREADS
        if (x.buf)
            smooth_uneven(state.buf, y.buf, x.buf, out.buf, count, rate);
        else
            smooth_even(state.buf, y.buf, out.buf, count, weight);
        Py_END_ALLOW_THREADS
    }
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&y);
    PyBuffer_Release(&x);
    PyBuffer_Release(&out);
    PyBuffer_Release(&state);
    return result;
}

/* ---- module ------------------------------------------------------------------------------------ */

static PyMethodDef functions[] = {
    {"ends", ends, METH_VARARGS, ends_doc},
    {"smooth", smooth, METH_VARARGS, smooth_doc},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "native", "The native backend of ``kernels``.", -1, functions,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModule_Create(&definition);
}
