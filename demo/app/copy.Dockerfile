FROM scratch
COPY base /
COPY .netrc /root/.netrc
RUN pkg install shout
RUN rm /root/.netrc
COPY app /bin/app
CMD ["app"]
