/* Debian's libunwind.a was compiled against glibc with fortified stdio; musl has no __fprintf_chk. */
#include <stdarg.h>
#include <stdio.h>

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = vfprintf(stream, format, arguments);
    va_end(arguments);
    (void)flag;
    return written;
}
