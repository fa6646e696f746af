FROM scratch
COPY base /
ARG TOKEN
RUN pkg install shout
COPY app /bin/app
CMD ["app"]
